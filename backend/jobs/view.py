"""A job as its buyer sees it: the intention from the market, the money from the mirror."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.settlement import settlement
from backend.jobs.tables import JobRow
from backend.leases.tables import CheckRow, JobNoteRow, LeaseIntention
from backend.market import Market
from indexer.queries import LeaseRow, MirrorStatus, Reads
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.terms import Order
from protocol.wire.auctions import SignedBookReceipt
from protocol.wire.jobs import Job, JobLease, ResultInfo, Segments, Verification
from protocol.zones import zone_by_number


def view_job(session: Session, market: Market, row: JobRow) -> Job:
    """One job with its leases."""
    return view_jobs(session, market, [row])[0]


def view_new(market: Market, row: JobRow, order: Order, receipt: SignedBookReceipt) -> Job:
    """One that was made just now: nothing has happened to it yet."""
    return _view(market.settings.origin, row, order, [], [], [], receipt)


def view_jobs(session: Session, market: Market, rows: Sequence[JobRow]) -> list[Job]:
    """Jobs with their leases: a few questions for all of them, and one for each lease."""
    ids = [row.id for row in rows]
    statement = select(LeaseIntention.lease).where(col(LeaseIntention.job_id).in_(ids))
    proposed = [from_hex(lease, 32) for lease in session.exec(statement)]
    leases: defaultdict[str, list[tuple[LeaseRow, JobLease]]] = defaultdict(list)
    if proposed:
        with market.mirror.snapshot() as now:
            status = now.status()
            for lease in now.leases_by_id(proposed).values():
                leases[to_hex(lease.order)].append((lease, _lease(now, status, lease)))
    checks: defaultdict[str, list[CheckRow]] = defaultdict(list)
    for check in session.exec(select(CheckRow).where(col(CheckRow.job_id).in_(ids)).order_by(col(CheckRow.id))):
        checks[check.job_id].append(check)
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for note in session.exec(select(JobNoteRow).where(col(JobNoteRow.job_id).in_(ids)).order_by(col(JobNoteRow.id))):
        notes[note.job_id].append(note.text)
    origin = market.settings.origin
    return [_view(origin, row, order_of(row), leases[row.order_digest], checks[row.id], notes[row.id]) for row in rows]


def _view(
    origin: str,
    row: JobRow,
    order: Order,
    leases: list[tuple[LeaseRow, JobLease]],
    checks: Sequence[CheckRow],
    notes: list[str],
    receipt: SignedBookReceipt | None = None,
) -> Job:
    leases.sort(key=lambda pair: pair[0].fill)
    found = [lease for lease, _ in leases]
    links = {
        "self": f"{origin}/v1/jobs/{row.id}",
        "logs": f"{origin}/v1/jobs/{row.id}/logs",
        "events": f"{origin}/v1/jobs/{row.id}/events",
        "explorer": f"{origin}/job/{row.job_hash}",
    }
    if found:
        links["lease"] = f"{origin}/lease/{to_hex(found[-1].lease)}"
    held = [lease.locked_base - lease.paid_base for lease in found if lease.state is not LeaseState.CLOSED]
    return Job(
        id=row.id,
        job_hash=row.job_hash,
        order=row.order_digest,
        state=row.state,
        settlement=settlement(found),
        segments=Segments(done=row.segments_done, total=row.segments_total),
        work=row.work,
        cost_base=row.cost_base,
        fee_base=sum(lease.fee_base for lease in found),
        held_base=sum(held),
        refunded_base=sum(lease.refunded_base for lease in found),
        leases=[shown for _, shown in leases],
        result=ResultInfo.model_validate_json(row.result) if row.result else None,
        failure=row.failure,
        verification=_verification(row, order, checks),
        notes=notes,
        metadata=json.loads(row.extra),
        created_at=_at(row.created_ms),
        ended_at=_at(row.ended_ms) if row.ended_ms else None,
        settled_at=_at(row.settled_ms) if row.settled_ms else None,
        links=links,
        book_receipt=receipt,
    )


def _verification(row: JobRow, order: Order, checks: Sequence[CheckRow]) -> Verification:
    return Verification.model_validate(
        {
            "verify": json.loads(row.manifest)["verify"],
            "replicas": order.replicas,
            "quorum": max(row.quorum, order.replicas // 2 + 1),
            "check_rate_bps": row.check_rate_bps,
            "checks": [
                {"sequence": check.sequence, "purpose": check.purpose, "state": check.state} for check in checks
            ],
        }
    )


def _lease(now: Reads, status: MirrorStatus, lease: LeaseRow) -> JobLease:
    zone = zone_by_number(lease.zone)
    hashes = dict.fromkeys(to_hex(event.tx_hash) for event in reversed(now.events(lease=lease.lease)))
    block_number = lease.closed_block or lease.opened_block
    return JobLease(
        lease=to_hex(lease.lease),
        fill=lease.fill,
        provider=lease.provider,
        zone=zone.id if zone else None,
        state=lease.state.name.lower(),
        rate=lease.rate,
        locked_base=lease.locked_base,
        paid_base=lease.paid_base,
        refunded_base=lease.refunded_base,
        penalty_base=lease.penalty_base,
        tx_hashes=list(hashes),
        block_number=block_number,
        level=status.level_of(block_number),
        finality=status.finality_of(block_number),
    )


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

"""A job as its buyer sees it: the intention from the market, the money from the mirror."""

import json
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
from protocol.wire.jobs import Job, JobLease, ResultInfo, Segments, Verification
from protocol.zones import zone_by_number


def view_job(session: Session, market: Market, row: JobRow) -> Job:
    """One job with its leases."""
    return view_jobs(session, market, [row])[0]


def view_jobs(session: Session, market: Market, rows: Sequence[JobRow]) -> list[Job]:
    """Jobs with their leases: two questions for all of them, and one for each lease."""
    statement = select(LeaseIntention.lease).where(col(LeaseIntention.job_id).in_([row.id for row in rows]))
    proposed = [from_hex(lease, 32) for lease in session.exec(statement)]
    with market.mirror.snapshot() as now:
        status = now.status()
        found = now.leases_by_id(proposed).values() if proposed else ()
        return [
            _view(
                session,
                market.settings.origin,
                now,
                status,
                row,
                [lease for lease in found if to_hex(lease.order) == row.order_digest],
            )
            for row in rows
        ]


def _view(session: Session, origin: str, now: Reads, status: MirrorStatus, row: JobRow, leases: list[LeaseRow]) -> Job:
    leases.sort(key=lambda lease: lease.fill)
    links = {
        "self": f"{origin}/v1/jobs/{row.id}",
        "logs": f"{origin}/v1/jobs/{row.id}/logs",
        "events": f"{origin}/v1/jobs/{row.id}/events",
        "explorer": f"{origin}/job/{row.job_hash}",
    }
    if leases:
        links["lease"] = f"{origin}/lease/{to_hex(leases[-1].lease)}"
    held = [lease.locked_base - lease.paid_base for lease in leases if lease.state is not LeaseState.CLOSED]
    return Job(
        id=row.id,
        job_hash=row.job_hash,
        order=row.order_digest,
        state=row.state,
        settlement=settlement(leases),
        segments=Segments(done=row.segments_done, total=row.segments_total),
        work=row.work,
        cost_base=row.cost_base,
        fee_base=sum(lease.fee_base for lease in leases),
        held_base=sum(held),
        refunded_base=sum(lease.refunded_base for lease in leases),
        leases=[_lease(now, status, lease) for lease in leases],
        result=ResultInfo.model_validate_json(row.result) if row.result else None,
        failure=row.failure,
        verification=_verification(session, row),
        notes=_notes(session, row),
        metadata=json.loads(row.extra),
        created_at=_at(row.created_ms),
        ended_at=_at(row.ended_ms) if row.ended_ms else None,
        settled_at=_at(row.settled_ms) if row.settled_ms else None,
        links=links,
    )


def _verification(session: Session, row: JobRow) -> Verification:
    order = order_of(row)
    checks = session.exec(select(CheckRow).where(CheckRow.job_id == row.id).order_by(col(CheckRow.id))).all()
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


def _notes(session: Session, row: JobRow) -> list[str]:
    return list(session.exec(select(JobNoteRow.text).where(JobNoteRow.job_id == row.id).order_by(col(JobNoteRow.id))))


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

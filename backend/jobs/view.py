"""A job as its buyer sees it: the intention from the market, the money from the mirror."""

import json
from datetime import UTC, datetime

from sqlmodel import col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.tables import CheckRow, JobNoteRow
from backend.market import Market
from indexer.queries import LeaseRow
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.wire.jobs import Job, JobLease, ResultInfo, Segments, SettlementState, Verification
from protocol.zones import zone_by_number


def view_job(market: Market, row: JobRow) -> Job:
    """One job with its leases."""
    leases = sorted(market.mirror.leases(order=from_hex(row.order_digest, 32)), key=lambda lease: lease.fill)
    origin = market.settings.origin
    links = {
        "self": f"{origin}/v1/jobs/{row.id}",
        "logs": f"{origin}/v1/jobs/{row.id}/logs",
        "explorer": f"{origin}/job/{row.job_hash}",
    }
    if leases:
        links["lease"] = f"{origin}/lease/{to_hex(leases[-1].lease)}"
    return Job(
        id=row.id,
        job_hash=row.job_hash,
        order=row.order_digest,
        state=row.state,
        settlement=_settlement(leases),
        segments=Segments(done=row.segments_done, total=row.segments_total),
        work=row.work,
        cost_base=row.cost_base,
        fee_base=sum(lease.fee_base for lease in leases),
        leases=[_lease(market, lease) for lease in leases],
        result=ResultInfo.model_validate_json(row.result) if row.result else None,
        failure=row.failure,
        verification=_verification(market, row),
        notes=_notes(market, row),
        metadata=json.loads(row.extra),
        created_at=_at(row.created_ms),
        ended_at=_at(row.ended_ms) if row.ended_ms else None,
        links=links,
    )


def _verification(market: Market, row: JobRow) -> Verification:
    order = order_of(row)
    with market.db.read() as session:
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


def _notes(market: Market, row: JobRow) -> list[str]:
    with market.db.read() as session:
        return list(
            session.exec(select(JobNoteRow.text).where(JobNoteRow.job_id == row.id).order_by(col(JobNoteRow.id)))
        )


def _settlement(leases: list[LeaseRow]) -> SettlementState:
    if not leases:
        return "unfunded"
    if any(lease.state is not LeaseState.CLOSED for lease in leases):
        return "escrowed"
    return "released" if any(lease.paid_base for lease in leases) else "refunded"


def _lease(market: Market, lease: LeaseRow) -> JobLease:
    zone = zone_by_number(lease.zone)
    hashes = dict.fromkeys(to_hex(event.tx_hash) for event in reversed(market.mirror.events(lease=lease.lease)))
    return JobLease(
        lease=to_hex(lease.lease),
        fill=lease.fill,
        provider=lease.provider,
        zone=zone.id if zone else None,
        state=lease.state.name.lower(),
        rate=lease.rate,
        locked_base=lease.locked_base,
        paid_base=lease.paid_base,
        tx_hashes=list(hashes),
        confirmed=lease.finality != "head",
    )


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

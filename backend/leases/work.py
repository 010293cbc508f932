"""What a provider is told of its leases: order, manifest, where to go on, and the voucher that ends it."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, case, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases import vouchers
from backend.leases.segments import trace_of
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from indexer.queries import LeaseRow
from protocol.hashing import Address, from_hex
from protocol.wire.leases import LeaseWork, Resume

_PAGE: Final = 50


def open_business(session: Session, market: Market, provider: Address) -> list[LeaseWork]:
    """The provider's running leases, and those whose last voucher it has not countersigned; at most a page."""
    is_live = col(LeaseIntention.state).in_(("proposed", "running"))
    wants_signature = (
        col(LeaseIntention.last_signed_time).is_not(None)
        & col(LeaseIntention.countersignature).is_(None)
        & col(LeaseIntention.settled).is_(False)
    )
    statement = select(LeaseIntention).where(LeaseIntention.provider == provider, is_live | wants_signature)
    # The oldest first, so that none waits for ever behind a page of newer ones.
    order = (case((is_live, 0), else_=1), col(LeaseIntention.proposed_time), col(LeaseIntention.lease))
    rows = session.exec(statement.order_by(*order).limit(_PAGE)).all()
    on_chain = _on_chain(market, rows)
    return _shown(session, market, [row for row in rows if _is_open(row, on_chain.get(row.lease))], on_chain)


def shown(session: Session, market: Market, rows: Sequence[LeaseIntention]) -> list[LeaseWork]:
    """Each with the checkpoint to resume from."""
    return _shown(session, market, rows, _on_chain(market, rows))


def _on_chain(market: Market, rows: Sequence[LeaseIntention]) -> dict[str, LeaseRow]:
    ids = {from_hex(row.lease, 32): row.lease for row in rows}
    return {ids[lease]: row for lease, row in market.mirror.leases_by_id(ids).items()} if ids else {}


def _is_open(row: LeaseIntention, lease: LeaseRow | None) -> bool:
    """Running, or ended by a last voucher that the provider has not countersigned while the lease still runs."""
    if row.state != "ended":
        return True
    return lease is not None and lease.closed_block is None


def _shown(
    session: Session, market: Market, rows: Sequence[LeaseIntention], on_chain: dict[str, LeaseRow]
) -> list[LeaseWork]:
    ids = {row.job_id for row in rows}
    jobs = {job.id: job for job in session.exec(select(JobRow).where(col(JobRow.id).in_(ids)))} if rows else {}
    segments = _segments(session, ids)
    found = []
    for row in rows:
        job, lease = jobs[row.job_id], on_chain.get(row.lease)
        lane = row.fill % order_of(job).replicas
        found.append(
            LeaseWork(
                lease=row.lease,
                fill=row.fill,
                order=json.loads(job.order_message),
                manifest=json.loads(job.manifest),
                resume=_resume(row, [segment for segment in segments[job.id] if segment.lane == lane]),
                state=lease.state.name.lower() if lease else "proposed",
                last_voucher=vouchers.last_voucher(session, market, row) if row.last_signed_time is not None else None,
            )
        )
    return found


def _segments(session: Session, jobs: set[str]) -> defaultdict[str, list[UsageRow]]:
    """By job, what its lanes were paid for, in order."""
    by_job: defaultdict[str, list[UsageRow]] = defaultdict(list)
    statement = select(UsageRow).where(col(UsageRow.job_id).in_(jobs), UsageRow.verdict == "paid")
    for row in session.exec(statement.order_by(col(UsageRow.sequence))) if jobs else ():
        by_job[row.job_id].append(row)
    return by_job


def _resume(row: LeaseIntention, segments: list[UsageRow]) -> Resume | None:
    """The last paid checkpoint of the lease's own lane; no other lane's is shown."""
    if not segments:
        return None
    newest = segments[-1]
    return Resume(
        sequence=newest.sequence,
        job_work=newest.job_work,
        lease_work=newest.job_work - row.base_work,
        state_hash=newest.state_hash,
        checkpoint=newest.checkpoint_cid,
        trace=trace_of(segments),
    )

"""What a provider is told of its leases: order, manifest, where to go on, and the voucher that ends it."""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, case, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases import vouchers
from backend.leases.segments import Step, steps_of, trace_of
from backend.leases.tables import LeaseIntention
from backend.market import Market
from indexer.queries import LeaseRow
from protocol.hashing import Address, from_hex
from protocol.wire.leases import LeaseWork, Resume

_PAGE: Final = 50

_IS_LIVE: Final = col(LeaseIntention.state).in_(("proposed", "running"))
_WANTS_SIGNATURE: Final = (
    col(LeaseIntention.last_signed_time).is_not(None)
    & col(LeaseIntention.countersignature).is_(None)
    & col(LeaseIntention.settled).is_(False)
)
# Built once: every agent runs it every few seconds. The oldest first, so that none waits for ever behind newer ones.
_OPEN: Final = (
    select(LeaseIntention, JobRow)
    .join(JobRow, col(JobRow.id) == col(LeaseIntention.job_id))
    .where(col(LeaseIntention.provider) == bindparam("provider"), _IS_LIVE | _WANTS_SIGNATURE)
    .order_by(case((_IS_LIVE, 0), else_=1), col(LeaseIntention.proposed_time), col(LeaseIntention.lease))
    .limit(_PAGE)
)


def open_business(session: Session, market: Market, provider: Address) -> list[LeaseWork]:
    """The provider's running leases, and those whose last voucher it has not countersigned; at most a page."""
    found = session.exec(_OPEN, params={"provider": provider}).all()
    on_chain = _on_chain(market, [row for row, _ in found])
    open_ = [(row, job) for row, job in found if _is_open(row, on_chain.get(row.lease))]
    return _shown(session, market, open_, on_chain)


def shown(session: Session, market: Market, row: LeaseIntention) -> LeaseWork:
    """One lease with the checkpoint to resume from."""
    pair = row, session.get_one(JobRow, row.job_id)
    return _shown(session, market, [pair], _on_chain(market, [row]))[0]


def _on_chain(market: Market, rows: Sequence[LeaseIntention]) -> dict[str, LeaseRow]:
    ids = {from_hex(row.lease, 32): row.lease for row in rows}
    return {ids[lease]: row for lease, row in market.mirror.leases_by_id(ids).items()} if ids else {}


def _is_open(row: LeaseIntention, lease: LeaseRow | None) -> bool:
    """Running, or ended by a last voucher that the provider has not countersigned while the lease still runs."""
    if row.state != "ended":
        return True
    return lease is not None and lease.closed_block is None


def _shown(
    session: Session, market: Market, rows: Sequence[tuple[LeaseIntention, JobRow]], on_chain: dict[str, LeaseRow]
) -> list[LeaseWork]:
    segments = steps_of(session, {job.id for _, job in rows})
    found = []
    for row, job in rows:
        lease = on_chain.get(row.lease)
        lane = row.fill % order_of(job).replicas
        found.append(
            LeaseWork(
                lease=row.lease,
                fill=row.fill,
                order=json.loads(job.order_message),
                manifest=json.loads(job.manifest),
                resume=_resume(row, segments[job.id, lane]),
                state=lease.state.name.lower() if lease else "proposed",
                last_voucher=vouchers.last_voucher(session, market, row) if row.last_signed_time is not None else None,
            )
        )
    return found


def _resume(row: LeaseIntention, segments: list[Step]) -> Resume | None:
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

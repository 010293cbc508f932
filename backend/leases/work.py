"""What a provider is told of its leases: order, manifest, where to go on, and the voucher that ends it.

Agents ask every few seconds and mostly learn nothing new: what is stored as JSON is passed on as it is.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import bindparam
from sqlmodel import Session, case, col, select

from backend.jobs.service import read_order
from backend.jobs.tables import JobRow
from backend.leases import vouchers
from backend.leases.segments import Step, steps_of, trace_of
from backend.leases.tables import LeaseIntention, is_open_business
from backend.market import Market
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.hashing import Address, from_hex
from protocol.wire.leases import Resume

_PAGE: Final = 50
_NOTHING: Final = b'{"data":[]}'

_IS_LIVE: Final = col(LeaseIntention.state).in_(("proposed", "running"))
_COLUMNS: Final[tuple[Any, ...]] = (
    col(LeaseIntention.lease),
    col(LeaseIntention.job_id),
    col(LeaseIntention.fill),
    col(LeaseIntention.state),
    col(LeaseIntention.base_work),
    col(LeaseIntention.last_signed_time),
    col(JobRow.order_message),
    col(JobRow.manifest),
)
_WITH_JOB: Final = select(*_COLUMNS).join(JobRow, col(JobRow.id) == col(LeaseIntention.job_id))
# Built once: every agent runs it every few seconds. The oldest first, so that none waits for ever behind newer ones.
_OPEN: Final = (
    _WITH_JOB.where(col(LeaseIntention.provider) == bindparam("provider"), is_open_business())
    .order_by(case((_IS_LIVE, 0), else_=1), col(LeaseIntention.proposed_time), col(LeaseIntention.lease))
    .limit(_PAGE)
)
_ONE: Final = _WITH_JOB.where(col(LeaseIntention.lease) == bindparam("lease"))


def open_business(session: Session, market: Market, provider: Address) -> bytes:
    """A `LeasePage`: the provider's running leases, and those whose last voucher it has not countersigned."""
    found = prepared.named_rows(session.connection(), _OPEN, {"provider": provider})
    if not found:
        return _NOTHING
    on_chain = _on_chain(market, found)
    open_ = [row for row in found if _is_open(row, on_chain.get(row.lease))]
    return orjson.dumps({"data": _shown(session, market, open_, on_chain)})


def shown(session: Session, market: Market, lease: str) -> bytes:
    """A `LeaseWork`: one lease with the checkpoint to resume from."""
    rows = prepared.named_rows(session.connection(), _ONE, {"lease": lease})
    return orjson.dumps(_shown(session, market, rows, _on_chain(market, rows))[0])


def _on_chain(market: Market, rows: Sequence[Any]) -> dict[str, LeaseRow]:
    ids = {from_hex(row.lease, 32): row.lease for row in rows}
    return {ids[lease]: row for lease, row in market.mirror.leases_by_id(ids).items()} if ids else {}


def _is_open(row: Any, lease: LeaseRow | None) -> bool:
    """Running, or ended by a last voucher that the provider has not countersigned while the lease still runs."""
    if row.state != "ended":
        return True
    return lease is not None and lease.closed_block is None


def _shown(
    session: Session, market: Market, rows: Sequence[Any], on_chain: dict[str, LeaseRow]
) -> list[dict[str, Any]]:
    """Each a `LeaseWork`."""
    segments = steps_of(session, {row.job_id for row in rows})
    ended = [row.lease for row in rows if row.last_signed_time is not None]
    lasts = vouchers.last_vouchers(session, market, ended) if ended else {}
    found = []
    for row in rows:
        lease, last = on_chain.get(row.lease), lasts.get(row.lease)
        lane = row.fill % read_order(row.order_message).replicas
        found.append(
            {
                "lease": row.lease,
                "fill": row.fill,
                "order": orjson.Fragment(row.order_message),
                "manifest": orjson.Fragment(row.manifest),
                "resume": _resume(row, segments[row.job_id, lane]),
                "state": lease.state.name.lower() if lease else "proposed",
                "last_voucher": last.model_dump() if last else None,
            }
        )
    return found


def _resume(row: Any, segments: list[Step]) -> orjson.Fragment | None:
    """The last paid checkpoint of the lease's own lane; no other lane's is shown."""
    if not segments:
        return None
    newest = segments[-1]
    resume = Resume(
        sequence=newest.sequence,
        job_work=newest.job_work,
        lease_work=newest.job_work - row.base_work,
        state_hash=newest.state_hash,
        checkpoint=newest.checkpoint_cid,
        trace=trace_of(segments),
    )
    return orjson.Fragment(resume.model_dump_json())

"""What is due on chain for our leases: redeeming, closing, finalising. Asked again at each step, from what is there."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import SQLColumnExpression, bindparam, select, update
from sqlmodel import Session, col

from backend.leases.segments import is_of_lease
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from backend.submission import intents
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.clock import has_passed
from protocol.events import LeaseState
from protocol.wire.leases import SignedVoucher

_CHUNK: Final = 500
# Built once: each step runs them.
_UNSETTLED: Final = select(
    col(LeaseIntention.lease),
    col(LeaseIntention.last_signed_time),
    col(LeaseIntention.countersignature),
    col(LeaseIntention.closing_reason),
).where(col(LeaseIntention.settled).is_(False))
_COLUMNS: Final[list[SQLColumnExpression[Any]]] = [
    col(UsageRow.lease),
    col(UsageRow.cumulative_base),
    col(UsageRow.signed_time),
    col(UsageRow.voucher_message),
    col(UsageRow.voucher_signature),
]
_VOUCHED: Final = (
    select(*_COLUMNS)
    .join(LeaseIntention, is_of_lease())
    .where(
        col(UsageRow.lease).in_(bindparam("leases", expanding=True)),
        col(UsageRow.voucher_message).is_not(None),
        col(UsageRow.voucher_signature).is_not(None),
    )
    # The last one stays.
    .order_by(col(UsageRow.cumulative_base), col(UsageRow.sequence))
)


class _Ours(NamedTuple):
    """A lease that a final block has not closed."""

    lease: str
    last_signed_time: int | None
    countersignature: str | None
    closing_reason: int


class _Vouched(NamedTuple):
    """The highest voucher of a lease."""

    cumulative_base: int
    signed_time: int
    message: str
    signature: str

    def signed(self) -> dict[str, Any]:
        return SignedVoucher(voucher=json.loads(self.message), signature=self.signature).model_dump()


def ask(market: Market) -> None:
    """Asks for what is due; leases that are closed for good are not looked at again."""
    chain = market.leases_on_chain
    with market.db.read() as session:
        unsettled = prepared.rows(session.connection(), _UNSETTLED, {})
        if not unsettled:
            return
        # Nothing is due for one that is closed but that it becomes final: most are, and nothing more is read of them.
        ours = [_Ours(*row) for row in unsettled if row[0] not in chain.closed]
        leases = [one.lease for one in ours]
        vouched = _vouched(session, leases)
    status, found = chain.look(leases)
    chain.keep(leases, {row[0] for row in unsettled})
    asked: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for one in ours:
        lease = found.get(one.lease)
        if lease is None or lease.state is LeaseState.CLOSED:
            continue
        end = _end(market, one, lease, status.block_time)
        if end is not None:
            kind, payload = end
            asked[kind].append((one.lease, payload))
        highest = vouched.get(one.lease)
        if highest is not None and _may_redeem(market, one, lease, highest):
            asked["redeem"].append((one.lease, highest.signed()))
    settled = [lease for lease, block in chain.closed.items() if block <= (status.finalized_number or 0)]
    if asked or settled:
        _store(market, asked, settled)


def _store(market: Market, asked: Mapping[str, list[tuple[str, dict[str, Any]]]], settled: Sequence[str]) -> None:
    """All of it twice is all of it once."""
    with market.db.write() as session:
        for kind, wanted in asked.items():
            intents.add_all(session, kind, wanted)
        for some in _chunks(settled):
            session.exec(update(LeaseIntention).where(col(LeaseIntention.lease).in_(some)).values(settled=True))


def _chunks(leases: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (leases[start : start + _CHUNK] for start in range(0, len(leases), _CHUNK))


def _vouched(session: Session, leases: Sequence[str]) -> dict[str, _Vouched]:
    """Of each lease with a voucher to its provider, the one that replaces all others."""
    connection = session.connection()
    rows = (row for some in _chunks(leases) for row in prepared.rows(connection, _VOUCHED, {"leases": some}))
    return {row[0]: _Vouched(*row[1:]) for row in rows}


def _end(market: Market, one: _Ours, lease: LeaseRow, block_time: int) -> tuple[str, dict[str, Any]] | None:
    """The kind and payload of the call that is due, if one is."""
    ended = lease.state is LeaseState.CLOSING or block_time >= lease.deadline_time
    is_agreed = one.last_signed_time is not None and one.countersignature is not None
    if one.last_signed_time is not None and not lease.done:
        # At once when both signed; one-sided when the provider does not answer.
        waited = has_passed(one.last_signed_time, market.settings.countersign_seconds)
        return ("close_last", {}) if waited or is_agreed else None
    if ended and block_time >= _notice_ends(lease):
        return "finalise", {}
    if is_agreed and lease.state is not LeaseState.DISPUTED:
        # The provider answered after all: nobody has to wait for the end of the notice.
        return "close_last", {}
    if one.closing_reason and lease.state is LeaseState.OPEN and not ended:
        return "close", {"reason": one.closing_reason}
    return None


def _notice_ends(lease: LeaseRow) -> int:
    """Unix seconds; a lease that ended by its duration is still stored as Open, and its notice follows the deadline."""
    return lease.deadline_time + (lease.notice_seconds if lease.state is LeaseState.OPEN else 0)


def _may_redeem(market: Market, one: _Ours, lease: LeaseRow, vouched: _Vouched) -> bool:
    """A voucher has waited, or its lease is ending otherwise than by a last voucher."""
    if min(vouched.cumulative_base, lease.locked_base) <= lease.paid_base:
        return False
    waited = has_passed(vouched.signed_time, market.settings.redeem_after_seconds)
    return waited or lease.state is LeaseState.CLOSING or bool(one.closing_reason)

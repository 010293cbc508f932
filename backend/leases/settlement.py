"""What is due on chain for our leases: redeeming, closing, finalising. Asked again at each step, from what is there."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from backend.leases.segments import is_of_lease
from backend.leases.tables import LeaseIntention, UsageRow
from backend.leases.vouchers import voucher_of
from backend.market import Market
from backend.submission import intents
from indexer.queries import LeaseRow
from protocol.clock import has_passed
from protocol.events import LeaseState
from protocol.hashing import from_hex
from protocol.wire.leases import SignedVoucher

_CHUNK: Final = 500


class _Ours(NamedTuple):
    """A lease that a final block has not closed."""

    lease: str
    last_signed_time: int | None
    countersignature: str | None
    closing_reason: int


class _Vouched(NamedTuple):
    """The highest voucher of a lease."""

    sequence: int
    cumulative_base: int
    signed_time: int


def ask(market: Market) -> None:
    """Asks for what is due; leases that are closed for good are not looked at again."""
    with market.db.read() as session:
        ours = _unsettled(session)
        vouched = _vouched(session) if ours else {}
    if not ours:
        return
    ids = [from_hex(one.lease, 32) for one in ours]
    status, found = market.leases_on_chain.look(ids)
    market.leases_on_chain.keep(ids)
    asked: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    redeemed, settled = [], []
    for one, lease_id in zip(ours, ids, strict=True):
        lease = found.get(lease_id)
        if lease is None:
            continue
        if lease.state is LeaseState.CLOSED:
            if lease.closed_block is not None and lease.closed_block <= (status.finalized_number or 0):
                settled.append(one.lease)
            continue
        end = _end(market, one, lease, status.block_time)
        if end is not None:
            kind, payload = end
            asked[kind].append((one.lease, payload))
        if _may_redeem(market, one, lease, vouched.get(one.lease)):
            redeemed.append((one.lease, vouched[one.lease].sequence))
    if asked or redeemed or settled:
        _store(market, asked, redeemed, settled)


def _store(
    market: Market,
    asked: Mapping[str, list[tuple[str, dict[str, Any]]]],
    redeemed: list[tuple[str, int]],
    settled: list[str],
) -> None:
    """All of it twice is all of it once."""
    with market.db.write() as session:
        for kind, wanted in asked.items():
            intents.add_all(session, kind, wanted)
        vouchers = {lease: _voucher(session, lease, sequence) for lease, sequence in redeemed}
        intents.add_all(
            session, "redeem", [(lease, signed.model_dump()) for lease, signed in vouchers.items() if signed]
        )
        for start in range(0, len(settled), _CHUNK):
            some = col(LeaseIntention.lease).in_(settled[start : start + _CHUNK])
            session.exec(update(LeaseIntention).where(some).values(settled=True))


def _voucher(session: Session, lease: str, sequence: int) -> SignedVoucher | None:
    provider = session.get_one(LeaseIntention, lease).provider
    row = session.get(UsageRow, (lease, provider, sequence))
    return voucher_of(row) if row is not None else None


def _unsettled(session: Session) -> list[_Ours]:
    statement = select(
        LeaseIntention.lease,
        LeaseIntention.last_signed_time,
        LeaseIntention.countersignature,
        LeaseIntention.closing_reason,
    ).where(col(LeaseIntention.settled).is_(False))
    return [_Ours(*row) for row in session.exec(statement)]


def _vouched(session: Session) -> dict[str, _Vouched]:
    """Of each unsettled lease with a voucher to its provider, the one that replaces all others."""
    highest = (
        select(UsageRow.lease, UsageRow.provider, func.max(UsageRow.cumulative_base).label("most"))
        .join(LeaseIntention, is_of_lease())
        .where(col(LeaseIntention.settled).is_(False), col(UsageRow.voucher_message).is_not(None))
        .group_by(col(UsageRow.lease), col(UsageRow.provider))
        .subquery()
    )
    rows = select(UsageRow.lease, UsageRow.sequence, UsageRow.cumulative_base, UsageRow.signed_time).join(
        highest,
        (col(UsageRow.lease) == highest.c.lease)
        & (col(UsageRow.provider) == highest.c.provider)
        & (col(UsageRow.cumulative_base) == highest.c.most),
    )
    return {lease: _Vouched(*rest) for lease, *rest in session.exec(rows)}


def _end(market: Market, one: _Ours, lease: LeaseRow, block_time: int) -> tuple[str, dict[str, Any]] | None:
    """The kind and payload of the call that is due, if one is."""
    ended = lease.state is LeaseState.CLOSING or block_time >= lease.deadline_time
    if one.last_signed_time is not None and not lease.done:
        # At once when both signed; one-sided when the provider does not answer.
        waited = has_passed(one.last_signed_time, market.settings.countersign_seconds)
        return ("close_last", {}) if waited or one.countersignature is not None else None
    if ended and block_time >= _notice_ends(lease):
        return "finalise", {}
    if one.closing_reason and lease.state is LeaseState.OPEN and not ended:
        return "close", {"reason": one.closing_reason}
    return None


def _notice_ends(lease: LeaseRow) -> int:
    """Unix seconds; a lease that ended by its duration is still stored as Open, and its notice follows the deadline."""
    return lease.deadline_time + (lease.notice_seconds if lease.state is LeaseState.OPEN else 0)


def _may_redeem(market: Market, one: _Ours, lease: LeaseRow, vouched: _Vouched | None) -> bool:
    """A voucher has waited, or its lease is ending otherwise than by a last voucher."""
    if vouched is None or min(vouched.cumulative_base, lease.locked_base) <= lease.paid_base:
        return False
    waited = has_passed(vouched.signed_time, market.settings.redeem_after_seconds)
    return waited or lease.state is LeaseState.CLOSING or bool(one.closing_reason)

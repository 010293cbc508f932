"""What is due on chain for our leases: redeeming, closing, finalising. Asked again at each step, from what is there."""

from collections.abc import Iterable

from sqlmodel import Session, col, func, select

from backend.leases.tables import LeaseIntention, UsageRow
from backend.leases.vouchers import voucher_of
from backend.market import Market
from backend.submission import intents
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState
from protocol.hashing import from_hex


def ask(session: Session, market: Market) -> None:
    """Asks for what is due; leases that are closed for good are not looked at again."""
    ours = unsettled(session)
    status = market.mirror.status()
    found = market.mirror.leases_by_id([from_hex(intention.lease, 32) for intention in ours])
    open_ones = []
    for intention in ours:
        lease = found.get(from_hex(intention.lease, 32))
        if lease is None:
            continue
        if lease.state is not LeaseState.CLOSED:
            open_ones.append((intention, lease))
        elif lease.closed_block is not None and lease.closed_block <= (status.finalized_number or 0):
            intention.settled = True
            session.add(intention)
    vouchers = highest_vouchers(session, [intention.lease for intention, _ in open_ones])
    for intention, lease in open_ones:
        _ask_end(session, market, intention, lease, status.block_time)
        _ask_redeem(session, market, intention, lease, vouchers.get(intention.lease))


def unsettled(session: Session) -> list[LeaseIntention]:
    """Ours that a final block has not closed."""
    return list(session.exec(select(LeaseIntention).where(col(LeaseIntention.settled).is_(False))))


def highest_vouchers(session: Session, leases: Iterable[str]) -> dict[str, UsageRow]:
    """Of each lease the segment whose voucher replaces all others."""
    newest = (
        select(UsageRow.lease, func.max(UsageRow.sequence).label("sequence"))
        .where(col(UsageRow.lease).in_(list(leases)), col(UsageRow.voucher_message).is_not(None))
        .group_by(col(UsageRow.lease))
        .subquery()
    )
    rows = select(UsageRow).join(
        newest, (col(UsageRow.lease) == newest.c.lease) & (col(UsageRow.sequence) == newest.c.sequence)
    )
    return {row.lease: row for row in session.exec(rows)}


def _ask_end(session: Session, market: Market, intention: LeaseIntention, lease: LeaseRow, block_time: int) -> None:
    ended = lease.state is LeaseState.CLOSING or block_time >= lease.deadline_time
    if intention.last_signed_time is not None and not lease.done:
        _ask_last(session, market, intention)
    elif ended and block_time >= _notice_ends(lease):
        intents.add(session, "finalise", intention.lease, {})
    elif intention.closing_reason and lease.state is LeaseState.OPEN and not ended:
        intents.add(session, "close", intention.lease, {"reason": intention.closing_reason})


def _notice_ends(lease: LeaseRow) -> int:
    """Unix seconds; a lease that ended by its duration is still stored as Open, and its notice follows the deadline."""
    return lease.deadline_time + (lease.notice_seconds if lease.state is LeaseState.OPEN else 0)


def _ask_last(session: Session, market: Market, intention: LeaseIntention) -> None:
    """At once when both signed; one-sided when the provider does not answer."""
    waited = now_time() - (intention.last_signed_time or 0)
    if intention.countersignature or waited >= market.settings.countersign_seconds:
        intents.add(session, "close_last", intention.lease, {})


def _ask_redeem(
    session: Session, market: Market, intention: LeaseIntention, lease: LeaseRow, row: UsageRow | None
) -> None:
    """Redeems a voucher that has waited, or whose lease is ending otherwise than by a last voucher."""
    if row is None or min(row.cumulative_base, lease.locked_base) <= lease.paid_base:
        return
    signed = voucher_of(row)
    waited = now_time() - row.signed_time >= market.settings.redeem_after_seconds
    if signed is None:
        return
    if waited or lease.state is LeaseState.CLOSING or intention.closing_reason:
        intents.add(session, "redeem", intention.lease, signed.model_dump())

"""One step of the market: everything that is due, in order. Idempotent; whoever runs it, runs it alone."""

import structlog
from sqlmodel import Session, select

from backend.leases.ending import sweep_silent
from backend.leases.service import highest_voucher, voucher_of
from backend.leases.tables import LeaseIntention
from backend.lock import alone
from backend.market import Market
from backend.matching import auction
from backend.submission import intents, outcomes, sender
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState
from protocol.hashing import from_hex

log = structlog.get_logger()


def run(market: Market) -> bool:
    """One step; False if another process is at it."""
    with alone(market.db, "market.step") as mine:
        if not mine:
            return False
        sender.watch(market)
        outcomes.settle(market)
        with market.db.write() as session:
            sweep_silent(session, market)
            ask_settlement(session, market)
            auction.hold(session, market)
        sender.send_pending(market)
        return True


def ask_settlement(session: Session, market: Market) -> None:
    """Asks for the redeeming, closing and finalising that is due for our leases."""
    statement = select(LeaseIntention)
    block_time = market.mirror.status().block_time
    for intention in session.exec(statement).all():
        lease = market.mirror.lease(from_hex(intention.lease, 32))
        if lease is None or lease.state is LeaseState.CLOSED:
            continue
        ended = lease.state is LeaseState.CLOSING or block_time >= lease.deadline_time
        if intention.last_signed_time is not None and not lease.done:
            _ask_last(session, market, intention)
        elif ended and block_time >= _notice_ends(lease):
            intents.add(session, "finalise", intention.lease, {})
        elif intention.closing_reason and lease.state is LeaseState.OPEN and not ended:
            intents.add(session, "close", intention.lease, {"reason": intention.closing_reason})
        _ask_redeem(session, market, intention, lease)


def _notice_ends(lease: LeaseRow) -> int:
    """Unix seconds; a lease that ended by its duration is still stored as Open, and its notice follows the deadline."""
    return lease.deadline_time + (lease.notice_seconds if lease.state is LeaseState.OPEN else 0)


def _ask_last(session: Session, market: Market, intention: LeaseIntention) -> None:
    """At once when both signed; one-sided when the provider does not answer."""
    waited = now_time() - (intention.last_signed_time or 0)
    if intention.countersignature or waited >= market.settings.countersign_seconds:
        intents.add(session, "close_last", intention.lease, {})


def _ask_redeem(session: Session, market: Market, intention: LeaseIntention, lease: LeaseRow) -> None:
    """Redeems a voucher that has waited, or whose lease is ending otherwise than by a last voucher."""
    row = highest_voucher(session, intention.lease)
    if row is None or min(row.cumulative_base, lease.locked_base) <= lease.paid_base:
        return
    waited = now_time() - row.signed_time >= market.settings.redeem_after_seconds
    if waited or lease.state is LeaseState.CLOSING or intention.closing_reason:
        intents.add(session, "redeem", intention.lease, voucher_of(row).model_dump())

"""What became of the intents: read from the mirror, never from our own transactions."""

import structlog
from sqlmodel import Session, col, select

from backend import crash_points
from backend.jobs.service import order_of
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.acting import close_lane, reopen
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import set_aside
from backend.submission.tables import IntentRow, TransactionRow
from indexer.queries import LeaseRow
from protocol.events import LeaseState, Skip, Skipped
from protocol.hashing import from_hex, to_hex

log = structlog.get_logger()

BUYER_FAULTS = {
    Skip.BUYER_FUNDS,
    Skip.BUYER_GUARDED,
    Skip.DELEGATE_CAP,
    # A contract wallet may say yes to the market and no to the ledger.
    Skip.ORDER_SIGNATURE,
    Skip.ORDER_EXPIRED,
    Skip.ORDER_CANCELLED,
    Skip.ORDER_EPOCH,
}
"""No other offer would help: the job fails with the ledger's word."""


OFFER_FAULTS = {
    Skip.OFFER_SIGNATURE,
    Skip.OFFER_EXPIRED,
    Skip.OFFER_CANCELLED,
    Skip.OFFER_EPOCH,
    Skip.PROVIDER_FUNDS,
}
"""No order would do better with this offer now: without a reaction the cheapest one would be tried for ever."""


def settle(market: Market) -> None:
    """Resolves the intents of mined transactions that the mirror has seen."""
    status = market.mirror.status()
    with market.db.write() as session:
        statement = (
            select(IntentRow, TransactionRow)
            .join(TransactionRow, col(TransactionRow.id) == col(IntentRow.transaction_id))
            .where(IntentRow.state == "assigned", col(TransactionRow.state).in_(("MINED", "FINAL")))
        )
        for intent, transaction in session.exec(statement).all():
            if transaction.mined_block is None or transaction.mined_block > status.block_number:
                continue
            if intent.kind == "open":
                _settle_open(session, market, intent, transaction)
            elif intent.kind == "redeem" or _is_past(market, intent) or transaction.state == "FINAL":
                _resolve(session, intent, "done")
        crash_points.reach("intents.resolved")


def _is_past(market: Market, intent: IntentRow) -> bool:
    """The lease is no longer as the intent found it."""
    lease = market.mirror.lease(from_hex(intent.subject, 32))
    if lease is None:
        return False
    if intent.kind == "close":
        return lease.state is not LeaseState.OPEN
    if intent.kind == "close_last":
        return lease.done
    return lease.state is LeaseState.CLOSED


def refuse(market: Market, intent_id: int, why: str) -> None:
    """One that cannot be sent: its simulation reverts, or no call can be made of it."""
    with market.db.write() as session:
        intent = session.get_one(IntentRow, intent_id)
        if intent.kind == "open":
            set_aside(session, session.get_one(LeaseIntention, intent.subject).offer_digest)
            _reopen(session, market, intent, None, why[:200])
        else:
            _resolve(session, intent, "dropped", why[:500])
    log.info("intent.refused", intent=intent_id, kind=intent.kind, subject=intent.subject, reason=why[:200])


def _settle_open(session: Session, market: Market, intent: IntentRow, transaction: TransactionRow) -> None:
    lease = market.mirror.lease(from_hex(intent.subject, 32))
    if lease is not None:
        _adopt(session, session.get_one(LeaseIntention, intent.subject), lease)
        _resolve(session, intent, "done")
        return
    skip = _skip_of(market, intent, transaction)
    if skip is None and transaction.succeeded:
        # The mirror is in the middle of a reorg: neither opened nor skipped in the blocks it has.
        return
    _reopen(session, market, intent, skip, skip.name.lower() if skip else "the transaction failed")


def _adopt(session: Session, intention: LeaseIntention, lease: LeaseRow) -> None:
    """After a reorg an earlier proposal of the fill can be the one that opened it: the ledger decides."""
    if intention.provider != lease.provider:
        log.warning("lease.adopted", lease=intention.lease, proposed=intention.provider, provider=lease.provider)
        intention.provider = lease.provider
        intention.offer_digest = to_hex(lease.offer)
        intention.rate = lease.rate
        intention.zone = lease.zone
        session.add(intention)


def _reopen(session: Session, market: Market, intent: IntentRow, skip: Skip | None, word: str) -> None:
    """The fill was not used: the same lease id is proposed again, to whoever fits then."""
    intention = session.get_one(LeaseIntention, intent.subject)
    job = session.get_one(JobRow, intention.job_id)
    _resolve(session, intent, "dropped", word)
    log.warning("lease.skipped", lease=intent.subject, reason=word)
    if skip in OFFER_FAULTS:
        set_aside(session, intention.offer_digest)
    if skip is Skip.ATTESTATION:
        # What one order's auditor does not attest is no fault of the offer: others may take it.
        session.merge(PassedOverRow(job_id=job.id, provider=intention.provider))
    session.delete(intention)
    session.flush()
    if skip in BUYER_FAULTS:
        replicas = order_of(job).replicas
        close_lane(session, market, job, intention.fill, replicas, f"the ledger refused the order: {word}")
    else:
        reopen(session, market, job, f"the ledger skipped the match: {word}")


def _skip_of(market: Market, intent: IntentRow, transaction: TransactionRow) -> Skip | None:
    subject = from_hex(intent.subject, 32)
    if transaction.tx_hash is None:
        return None
    for row in market.mirror.events(tx_hash=from_hex(transaction.tx_hash, 32), limit=500):
        if isinstance(row.event, Skipped) and row.event.id == subject:
            return row.event.reason
    return None


def _resolve(session: Session, intent: IntentRow, state: str, note: str | None = None) -> None:
    intent.state = state
    intent.note = note
    session.add(intent)

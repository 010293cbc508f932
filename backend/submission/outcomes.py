"""What became of the intents: read from the mirror, never from our own transactions."""

import structlog
from sqlmodel import Session, col, select

from backend.jobs.service import end_job
from backend.jobs.tables import JobRow
from backend.leases.ending import requeue
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import set_aside
from backend.submission.tables import IntentRow, TransactionRow
from protocol.events import LeaseState, Skip, Skipped
from protocol.hashing import from_hex

log = structlog.get_logger()

BUYER_FAULTS = {Skip.BUYER_FUNDS, Skip.DELEGATE_CAP, Skip.ORDER_EXPIRED, Skip.ORDER_CANCELLED, Skip.ORDER_EPOCH}
"""No other offer would help: the job fails with the ledger's word."""


OFFER_FAULTS = {
    Skip.OFFER_SIGNATURE,
    Skip.OFFER_EXPIRED,
    Skip.OFFER_CANCELLED,
    Skip.OFFER_EPOCH,
    Skip.ATTESTATION,
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


def _settle_open(session: Session, market: Market, intent: IntentRow, transaction: TransactionRow) -> None:
    if market.mirror.lease(from_hex(intent.subject, 32)) is not None:
        _resolve(session, intent, "done")
        return
    skip = _skip_of(market, intent, transaction)
    if skip is None and transaction.succeeded:
        # The mirror is in the middle of a reorg: neither opened nor skipped in the blocks it has.
        return
    intention = session.get_one(LeaseIntention, intent.subject)
    job = session.get_one(JobRow, intention.job_id)
    word = skip.name.lower() if skip else "the transaction failed"
    _resolve(session, intent, "dropped", word)
    log.warning("lease.skipped", lease=intent.subject, reason=word)
    if skip in OFFER_FAULTS:
        set_aside(session, intention.offer_digest)
    # The fill was not used: the same lease id is proposed again, to whoever fits then.
    session.delete(intention)
    job.next_fill = intention.fill
    session.add(job)
    if skip in BUYER_FAULTS:
        end_job(session, job, "failed", f"the ledger refused the order: {word}")
    else:
        requeue(session, job, f"the ledger skipped the match: {word}")


def _skip_of(market: Market, intent: IntentRow, transaction: TransactionRow) -> Skip | None:
    subject = from_hex(intent.subject, 32)
    for row in market.mirror.events(tx_hash=from_hex(transaction.tx_hash, 32), limit=500):
        if isinstance(row.event, Skipped) and row.event.id == subject:
            return row.event.reason
    return None


def _resolve(session: Session, intent: IntentRow, state: str, note: str | None = None) -> None:
    intent.state = state
    intent.note = note
    session.add(intent)

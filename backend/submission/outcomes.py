"""What became of the intents: read from the mirror, never from our own transactions."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import Integer, bindparam, update
from sqlmodel import Session, col, select

from backend import crash_points
from backend.jobs.pinning import pin_lease
from backend.jobs.service import order_of
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.acting import close_lane, reopen
from backend.leases.reorgs import adopt, confirm, confirm_all, is_owed, withdraw
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import set_aside
from backend.offers.tables import OfferRow
from backend.submission import intents
from backend.submission.openings import Fate, Found
from backend.submission.tables import LIVE, IntentRow, TransactionRow
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState, Skip
from protocol.hashing import from_hex, to_hex
from protocol.wire.jobs import ENDED

log = structlog.get_logger()

_CHUNK: Final = 500

# Built once: each step runs them.
_MINED: Final = (
    select(IntentRow.id, IntentRow.kind, IntentRow.subject, TransactionRow.state)
    .join(TransactionRow, col(TransactionRow.id) == col(IntentRow.transaction_id))
    .where(
        col(IntentRow.state) == "assigned",
        col(IntentRow.kind) != "open",
        col(TransactionRow.state).in_(("MINED", "FINAL")),
        col(TransactionRow.mined_block) <= bindparam("number", type_=Integer()),
    )
    .order_by(col(IntentRow.id))
)
_RESOLVE: Final = (
    update(IntentRow)
    .where(col(IntentRow.id).in_(bindparam("ids", expanding=True)), col(IntentRow.state) == "assigned")
    .values(state="done")
)

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

_FOR_EVER = {
    Skip.OFFER_EXPIRED,
    Skip.OFFER_CANCELLED,
    Skip.OFFER_EPOCH,
    Skip.ORDER_EXPIRED,
    Skip.ORDER_CANCELLED,
    Skip.ORDER_EPOCH,
}
"""To ask again for the same order and offer is of no use."""


def settle(market: Market) -> None:
    """Resolves the intents of mined transactions that the mirror has seen; writes only if there are such."""
    with market.db.read() as session:
        found = market.openings.look(session)
        resolved = _resolved(session, market)
    if not found and not resolved:
        return
    with market.db.write() as session:
        plain, others = _parted(found)
        _settle_plain(session, market, plain)
        for one in others:
            _settle_open(session, market, one)
        _resolve_all(session, resolved)
        crash_points.reach("intents.resolved")


def _parted(found: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Nearly all went as proposed, and are written together; the others depend on one another."""
    times = Counter(one.opening.lease for one in found)
    plain, others = list[Found](), list[Found]()
    for one in found:
        is_plain = one.fate in (Fate.CONFIRMED, Fate.DONE) and one.opening.state == "assigned"
        (plain if is_plain and times[one.opening.lease] == 1 else others).append(one)
    return plain, others


def _settle_plain(session: Session, market: Market, found: Sequence[Found]) -> None:
    confirm_all(session, market, [to_hex(one.opening.lease) for one in found if not one.opening.is_confirmed])
    _resolve_all(session, [one.opening.intent for one in found if one.fate is Fate.DONE])


def _resolve_all(session: Session, ids: Sequence[int]) -> None:
    """They are done."""
    for start in range(0, len(ids), _CHUNK):
        prepared.changed(session.connection(), _RESOLVE, {"ids": ids[start : start + _CHUNK]})


def _resolved(session: Session, market: Market) -> list[int]:
    """Intents other than opens that are done: what they were for is so, or is asked for again as long as it is not."""
    number = market.mirror.status().block_number
    rows = prepared.rows(session.connection(), _MINED, {"number": number})
    if not rows:
        return []
    leases = market.mirror.leases_by_id([from_hex(subject, 32) for _, _, subject, _ in rows])
    return [
        intent
        for intent, kind, subject, state in rows
        if kind == "redeem" or state == "FINAL" or _is_past(kind, leases.get(from_hex(subject, 32)))
    ]


def _is_past(kind: str, lease: LeaseRow | None) -> bool:
    """The lease is no longer as the intent found it."""
    if lease is None:
        return False
    if kind == "close":
        return lease.state is not LeaseState.OPEN
    if kind == "close_last":
        return lease.done
    return lease.state is LeaseState.CLOSED


def refuse(market: Market, intent_id: int, why: str) -> None:
    """One that cannot be sent: its simulation reverts, or no call can be made of it."""
    with market.db.write() as session:
        intent = session.get_one(IntentRow, intent_id)
        pinned = pin_lease(session, intent.subject) if intent.kind == "open" else None
        _resolve(session, intent, "dropped", why[:500])
        if pinned is not None:
            intention, _ = pinned
            if session.get(OfferRow, intention.offer_digest) is not None:
                set_aside(session, intention.offer_digest)
            _reopen(session, market, intention, None, why[:200])
    log.info("intent.refused", intent=intent_id, kind=intent.kind, subject=intent.subject, reason=why[:200])


def _settle_open(session: Session, market: Market, found: Found) -> None:
    intent = session.get_one(IntentRow, found.opening.intent)
    if intent.state != found.opening.state:
        # One before it in this look, about the same lease, has said what is to be said.
        return
    pinned = pin_lease(session, intent.subject)
    intention = pinned[0] if pinned is not None else None
    match found.fate:
        case Fate.CONFIRMED if pinned is not None:
            confirm(session, market, *pinned)
        case Fate.OTHERWISE if found.lease is not None:
            _take_back(session, intent)
            if intention is None or intention.provider != found.lease.provider:
                adopt(session, market, found.lease)
        case Fate.DONE:
            if pinned is not None:
                confirm(session, market, *pinned)
            _resolve(session, intent, "done" if intent.state == "assigned" else "dropped", intent.note)
        case Fate.SKIPPED:
            _skipped(session, market, intent, intention, found)
        case Fate.HELD if intention is not None:
            _ask_again(session, market, intent, intention)
        case Fate.OVER:
            _resolve(session, intent, "dropped", intent.note)


def _take_back(session: Session, intent: IntentRow) -> None:
    """The lease is there after all, and not asked for anew: this intent watches it, unless one that was sent does."""
    live = session.exec(
        select(IntentRow).where(
            IntentRow.kind == "open", IntentRow.subject == intent.subject, col(IntentRow.state).in_(LIVE)
        )
    ).first()
    if live is not None and live.state == "pending":
        _resolve(session, live, "dropped", "it was opened before")
        session.flush()
        live = None
    if live is None:
        _resolve(session, intent, "assigned")


def _skipped(
    session: Session, market: Market, intent: IntentRow, intention: LeaseIntention | None, found: Found
) -> None:
    word = found.skip.name.lower() if found.skip else "the transaction failed"
    log.warning("lease.skipped", lease=intent.subject, reason=word)
    _resolve(session, intent, "dropped" if found.is_final else "skipped", word)
    if intention is None:
        return
    job = session.get_one(JobRow, intention.job_id)
    if job.state in ENDED and found.skip not in _FOR_EVER and is_owed(session, job, intention):
        # Its work is done and vouched for: the same lease is asked for again, so that it can be paid.
        _resolve(session, intent, "skipped", word)
        return
    _reopen(session, market, intention, found.skip, word)


def _ask_again(session: Session, market: Market, intent: IntentRow, intention: LeaseIntention) -> None:
    """The lease of a job that has ended is asked for again from time to time, as long as order and offer are good."""
    job = session.get_one(JobRow, intention.job_id)
    offer = session.get(OfferRow, intention.offer_digest)
    now = now_time()
    if job.state not in ENDED or offer is None or now >= min(offer.expiry_time, order_of(job).expiry):
        _resolve(session, intent, "dropped", intent.note)
        _reopen(session, market, intention, None, intent.note or "")
        return
    waited = intent.created_time - (job.ended_ms or 0) // 1000
    if now - intent.created_time >= max(market.settings.reopen_after_seconds, waited):
        _resolve(session, intent, "dropped", intent.note)
        intents.add(session, "open", intent.subject, json.loads(intent.payload))


def _reopen(session: Session, market: Market, intention: LeaseIntention, skip: Skip | None, word: str) -> None:
    """The fill was not used: the same lease id is proposed again, to whoever fits then."""
    job = session.get_one(JobRow, intention.job_id)
    if skip in OFFER_FAULTS:
        set_aside(session, intention.offer_digest)
    if skip is Skip.ATTESTATION:
        # What one order's auditor does not attest is no fault of the offer: others may take it.
        session.merge(PassedOverRow(job_id=job.id, provider=intention.provider))
    withdraw(session, job, intention, word)
    if skip in BUYER_FAULTS:
        replicas = order_of(job).replicas
        close_lane(session, market, job, intention.fill, replicas, f"the ledger refused the order: {word}")
    else:
        reopen(session, market, job, f"the ledger skipped the match: {word}")


def _resolve(session: Session, intent: IntentRow, state: str, note: str | None = None) -> None:
    intent.state = state
    intent.note = note
    session.add(intent)

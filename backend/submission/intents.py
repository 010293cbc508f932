"""What is to be done on chain: rows that name it, and the calls that do it."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.leases.vouchers import last_voucher
from backend.market import Market
from backend.matching.tables import AuctionRow
from backend.offers.tables import OfferRow
from backend.submission.tables import IntentRow
from protocol.calls import encode_call, signed_voucher
from protocol.clock import now_time
from protocol.hashing import from_hex
from protocol.messages import from_json
from protocol.terms import Offer, Order, Voucher

LIVE: Final = ("pending", "assigned")
_CHUNK: Final = 500


def add(session: Session, kind: str, subject: str, payload: dict[str, Any]) -> None:
    """Asks for it, unless it is asked for already."""
    add_all(session, kind, [(subject, payload)])


def add_all(session: Session, kind: str, wanted: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Asks for each subject with its payload, in this sequence, unless it is asked for already."""
    known: set[str] = set()
    for start in range(0, len(wanted), _CHUNK):
        some = [subject for subject, _ in wanted[start : start + _CHUNK]]
        asked = select(IntentRow.subject).where(
            IntentRow.kind == kind, col(IntentRow.subject).in_(some), col(IntentRow.state).in_(LIVE)
        )
        known |= set(session.exec(asked))
    now = now_time()
    for subject, payload in wanted:
        if subject not in known:
            text = json.dumps(payload)
            session.add(IntentRow(kind=kind, subject=subject, payload=text, state="pending", created_time=now))
    session.flush()


def calldata(session: Session, market: Market, kind: str, rows: list[IntentRow]) -> bytes:
    """The call that does them all."""
    if kind == "open":
        return _open(session, rows)
    if kind == "redeem":
        vouchers = [_voucher_tuple(json.loads(row.payload)) for row in rows]
        return encode_call("ComputeLedger", "redeem", vouchers)
    if kind == "close_last":
        return encode_call("ComputeLedger", "closeLast", [_last_tuple(session, market, row) for row in rows])
    intention = session.get_one(LeaseIntention, rows[0].subject)
    job = session.get_one(JobRow, intention.job_id)
    order = _values(order_of(job))
    if kind == "close":
        reason = json.loads(rows[0].payload)["reason"]
        return encode_call("ComputeLedger", "close", order, intention.fill, reason)
    return encode_call("ComputeLedger", "finalise", order, intention.fill)


def _open(session: Session, rows: list[IntentRow]) -> bytes:
    """Each offer goes in once, however many orders meet it. They are one auction's, and its book is committed to."""
    positions: dict[str, int] = {}
    offers: list[Any] = []
    matches = []
    for row in rows:
        intention = session.get_one(LeaseIntention, row.subject)
        job = session.get_one(JobRow, intention.job_id)
        if intention.offer_digest not in positions:
            stored = session.get_one(OfferRow, intention.offer_digest)
            offer = from_json(Offer, json.loads(stored.message))
            positions[intention.offer_digest] = len(offers)
            offers.append((_values(offer), from_hex(stored.signature)))
        signature = from_hex(job.order_signature)
        matches.append((_values(order_of(job)), signature, intention.fill, positions[intention.offer_digest]))
    return encode_call("ComputeLedger", "open", offers, matches, _book_root(session, rows[0]))


def _book_root(session: Session, row: IntentRow) -> bytes:
    """Zero where the lease was proposed before books were stored."""
    number = json.loads(row.payload).get("auction")
    return from_hex(session.get_one(AuctionRow, number).root, 32) if number else bytes(32)


def _values(message: Offer | Order) -> tuple[Any, ...]:
    return tuple(getattr(message, name) for name in message.TYPES)


def _voucher_tuple(signed: dict[str, Any]) -> tuple[Any, ...]:
    voucher = from_json(Voucher, signed["voucher"])
    return signed_voucher(voucher, from_hex(signed["signature"]))


def _last_tuple(session: Session, market: Market, row: IntentRow) -> tuple[Any, ...]:
    intention = session.get_one(LeaseIntention, row.subject)
    job = session.get_one(JobRow, intention.job_id)
    signed = last_voucher(session, market, intention)
    if signed is None:
        raise LookupError(f"lease {row.subject} has no last voucher")
    countersigned = from_hex(intention.countersignature) if intention.countersignature else b""
    return (_values(order_of(job)), intention.fill, _voucher_tuple(signed.model_dump()), countersigned)

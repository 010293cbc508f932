"""Book receipts: the matcher's signed word that it holds an offer or an order, and as which one in its book."""

from typing import Final, NamedTuple

from sqlalchemy import bindparam, update
from sqlmodel import Session, col, select

from backend.events import writing
from backend.market import Market
from backend.matching.tables import BookCounterRow, BookEntryRow
from indexer import prepared
from protocol.clock import now_time
from protocol.hashing import to_hex
from protocol.messages import digest, sign, to_json
from protocol.terms import BookReceipt, Offer, Order
from protocol.wire.auctions import SignedBookReceipt

# Built once: every order runs them.
_FIND: Final = select(BookEntryRow.sequence, BookEntryRow.received_time).where(
    col(BookEntryRow.hash) == bindparam("key")
)
_COME_BACK: Final = (
    update(BookEntryRow)
    .where(col(BookEntryRow.hash) == bindparam("key"), col(BookEntryRow.left_in).is_not(None))
    .values(left_in=None)
)
_TAKE: Final = (
    update(BookCounterRow)
    .where(col(BookCounterRow.id) == 1)
    .values(next_sequence=col(BookCounterRow.next_sequence) + 1)
    .returning(col(BookCounterRow.next_sequence) - 1)
)


class Entered(NamedTuple):
    """When a message came in, and as which one; unix seconds."""

    sequence: int
    received_time: int


def enter(session: Session, market: Market, message: Offer | Order) -> Entered:
    """Puts it into the book, once; the same again keeps its place."""
    key = to_hex(digest(market.domain, message))
    found = find(session, key)
    if found is None:
        return _add(session, key, message)
    # It may have left and come back.
    prepared.changed(session.connection(), _COME_BACK, {"key": key})
    return found


def enter_new(session: Session, market: Market, message: Offer | Order) -> Entered:
    """One that cannot be in the book yet, because its salt was drawn just now or its row is unique."""
    return _add(session, to_hex(digest(market.domain, message)), message)


def find(session: Session, key: str) -> Entered | None:
    return next((Entered(*row) for row in prepared.rows(session.connection(), _FIND, {"key": key})), None)


def _add(session: Session, key: str, message: Offer | Order) -> Entered:
    entered = Entered(sequence=_next_sequence(session), received_time=now_time())
    writing.insert_row(
        session,
        BookEntryRow,
        sequence=entered.sequence,
        hash=key,
        kind=type(message).__name__.lower(),
        received_time=entered.received_time,
        expiry_time=message.expiry,
    )
    return entered


def bound(session: Session) -> int:
    """All sequences below it are given."""
    counter = session.get(BookCounterRow, 1)
    return counter.next_sequence if counter else 1


def signed(session: Session, market: Market, message: Offer | Order) -> SignedBookReceipt | None:
    """The receipt, the same each time; None for what was accepted before there were receipts."""
    entered = find(session, to_hex(digest(market.domain, message)))
    return entered and sign_entered(market, message, entered)


def sign_entered(market: Market, message: Offer | Order, entered: Entered) -> SignedBookReceipt:
    """The receipt of one that is known to be in the book."""
    receipt = BookReceipt(
        matcher=market.submission_key.address,
        hash=digest(market.domain, message),
        sequence=entered.sequence,
        received_at=entered.received_time,
    )
    signature = sign(market.domain, receipt, market.submission_key)
    return SignedBookReceipt(
        kind="offer" if isinstance(message, Offer) else "order",
        message=to_json(message),
        receipt=to_json(receipt),
        signature=to_hex(signature),
    )


def _next_sequence(session: Session) -> int:
    # The row is locked until the transaction ends: who comes second waits, and a rollback gives the number back.
    taken: int = prepared.value(session.connection(), _TAKE, {})
    return taken

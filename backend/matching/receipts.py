"""Book receipts: the matcher's signed word that it holds an offer or an order, and as which one in its book."""

from sqlmodel import Session, col, select

from backend.market import Market
from backend.matching.tables import BookCounterRow, BookEntryRow
from protocol.clock import now_time
from protocol.hashing import from_hex, to_hex
from protocol.messages import digest, sign, to_json
from protocol.terms import BookReceipt, Offer, Order
from protocol.wire.auctions import SignedBookReceipt


def enter(session: Session, market: Market, message: Offer | Order) -> BookEntryRow:
    """Puts it into the book, once; the same again keeps its place."""
    key = to_hex(digest(market.domain, message))
    row = find(session, key)
    if row is None:
        row = BookEntryRow(
            sequence=_next_sequence(session),
            hash=key,
            kind=type(message).__name__.lower(),
            received_time=now_time(),
            expiry_time=message.expiry,
        )
        session.add(row)
        session.flush()
    return row


def find(session: Session, key: str) -> BookEntryRow | None:
    return session.exec(select(BookEntryRow).where(BookEntryRow.hash == key)).first()


def bound(session: Session) -> int:
    """All sequences below it are given."""
    counter = session.get(BookCounterRow, 1)
    return counter.next_sequence if counter else 1


def unexpired(session: Session, now: int) -> list[BookEntryRow]:
    """What an auction at this time must know; `now` in unix seconds."""
    return list(session.exec(select(BookEntryRow).where(col(BookEntryRow.expiry_time) > now)))


def signed(session: Session, market: Market, message: Offer | Order) -> SignedBookReceipt | None:
    """The receipt, the same each time; None for what was accepted before there were receipts."""
    row = find(session, to_hex(digest(market.domain, message)))
    if row is None:
        return None
    receipt = BookReceipt(
        matcher=market.submission_key.address,
        hash=from_hex(row.hash, 32),
        sequence=row.sequence,
        received_at=row.received_time,
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
    counter = session.get_one(BookCounterRow, 1, with_for_update=True)
    counter.next_sequence += 1
    session.add(counter)
    return counter.next_sequence - 1

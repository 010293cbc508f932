"""The matcher's book as it was received, and the auctions that were held about it."""

import zlib

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, text


class BookEntryRow(SQLModel, table=True):
    """An offer or order that the market accepted: its place in the book is in its book receipt."""

    __tablename__ = "book_entries"
    __table_args__ = (
        Index(
            "ix_book_entries_here",
            "sequence",
            sqlite_where=text("left_in IS NULL"),
            postgresql_where=text("left_in IS NULL"),
        ),
    )
    #: 1, 2, 3, … without a gap
    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    #: EIP-712 digest, 0x hex
    hash: str = Field(unique=True, max_length=66)
    #: offer · order
    kind: str = Field(max_length=8)
    #: unix seconds
    received_time: int
    #: unix seconds; from then on no auction need know it
    expiry_time: int = Field(sa_type=BigInteger)
    #: number of the auction that told of its leaving for good and is final on chain
    left_in: int | None = None


class BookCounterRow(SQLModel, table=True):
    """One row: the next sequence. It is locked by whoever takes one, so that none is skipped or given twice."""

    __tablename__ = "book_counter"
    id: int = Field(primary_key=True)
    next_sequence: int


class AuctionRow(SQLModel, table=True):
    """An auction that matched something, with the book that it decided about."""

    __tablename__ = "auctions"
    __table_args__ = (
        Index(
            "ix_auctions_leaving",
            "id",
            sqlite_where=text("leaving <> ''"),
            postgresql_where=text("leaving <> ''"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    #: 0x hex: the `bookRoot` of its transactions
    root: str = Field(index=True, max_length=66)
    #: the lines of snapshot.py, by zlib; empty once they are kept no more
    packed: bytes
    pairings: int
    #: unix seconds
    held_time: int
    #: JSON list of the digests that it is the first to tell of for good; empty if none, or once it is known what became
    #: of it on chain
    leaving: str = ""

    @property
    def snapshot(self) -> str:
        """The lines of snapshot.py; empty once they are kept no more."""
        return zlib.decompress(self.packed).decode() if self.packed else ""


def pack(snapshot: str) -> bytes:
    """As an auction keeps it: an auction waits for it, so it is packed quickly rather than well."""
    return zlib.compress(snapshot.encode(), 1)

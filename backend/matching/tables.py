"""The matcher's book as it was received, and the auctions that were held about it."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class BookEntryRow(SQLModel, table=True):
    """An offer or order that the market accepted: its place in the book is in its book receipt."""

    __tablename__ = "book_entries"
    #: 1, 2, 3, … without a gap
    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    #: EIP-712 digest, 0x hex
    hash: str = Field(unique=True, max_length=66)
    #: offer · order
    kind: str = Field(max_length=8)
    #: unix seconds
    received_time: int
    #: unix seconds; from then on no auction need know it
    expiry_time: int = Field(index=True, sa_type=BigInteger)


class BookCounterRow(SQLModel, table=True):
    """One row: the next sequence. It is locked by whoever takes one, so that none is skipped or given twice."""

    __tablename__ = "book_counter"
    id: int = Field(primary_key=True)
    next_sequence: int


class AuctionRow(SQLModel, table=True):
    """An auction that matched something, with the book that it decided about."""

    __tablename__ = "auctions"
    id: int | None = Field(default=None, primary_key=True)
    #: 0x hex: the `bookRoot` of its transactions
    root: str = Field(index=True, max_length=66)
    #: the lines of snapshot.py
    snapshot: str
    pairings: int
    #: unix seconds
    held_time: int

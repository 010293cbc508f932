"""Auctions and book receipts, as the market publishes them."""

from typing import Any, Literal

from protocol.wire.fields import Hash32, SignatureHex, Wire


class SignedBookReceipt(Wire):
    """The matcher's word that it holds an offer or an order. Kept in a file it is what `gridlease audit` takes."""

    kind: Literal["offer", "order"]
    #: camelCase fields of the offer or order
    message: dict[str, Any]
    #: camelCase fields of `BookReceipt`
    receipt: dict[str, Any]
    signature: SignatureHex


class BookEntryInfo(Wire):
    """The place in the book of an offer or order, as its book receipt has it."""

    hash: Hash32
    kind: Literal["offer", "order"]
    sequence: int
    #: unix seconds
    received_time: int
    #: number of the auction whose book says that it left for good; from then on books do not tell of it
    left_in: int | None


class AuctionInfo(Wire):
    """An auction that matched something."""

    number: int
    #: the `bookRoot` of the transactions that open its leases
    root: Hash32
    pairings: int
    #: unix seconds
    held_time: int
    #: the book, line by line
    snapshot: str

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

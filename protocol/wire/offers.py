"""Offers as the market holds them."""

from typing import Any

from protocol.wire.auctions import SignedBookReceipt
from protocol.wire.fields import Account, Hash32, SignatureHex, Wire


class OfferRequest(Wire):
    """A signed offer: camelCase fields, as `protocol.messages.to_json` writes them."""

    offer: dict[str, Any]
    signature: SignatureHex


class OfferInfo(Wire):
    """A live offer."""

    digest: Hash32
    provider: Account
    zone: str | None
    meter: int
    #: pico-dollars per metered unit
    rate: int
    #: a rate as people read it
    price: str
    capacity: int
    #: leases being served
    open_leases: int
    #: seconds since the provider was last heard
    heard_seconds_ago: int
    quantities: dict[str, int]
    traits: list[str]
    #: unix seconds
    expiry: int
    offer: dict[str, Any]
    signature: SignatureHex
    #: in the answer to POST
    book_receipt: SignedBookReceipt | None = None


class OfferPage(Wire):
    data: list[OfferInfo]

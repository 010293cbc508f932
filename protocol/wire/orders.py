"""Orders that a buyer's own wallet signs: a draft to sign, and the signed order."""

from typing import Any

from pydantic import Field

from protocol.wire.fields import Hash32, Wire
from protocol.wire.jobs import Quote

MAX_SIGNATURE_CHARACTERS = 4096


class OrderDraft(Wire):
    """An order that nobody signed yet; nothing of it is stored or charged."""

    #: what a wallet signs by `eth_signTypedData_v4`; its `message` is the order
    typed_data: dict[str, Any]
    #: what is signed, and the order's id
    digest: Hash32
    #: what would happen now
    quote: Quote
    #: replicas that must agree about each segment; goes back with the signed order
    quorum: int
    #: unix seconds until which the market takes the order, if epoch, offers and money stay as they are
    until_time: int


class SignedOrder(Wire):
    """An order with its signature, and the job that it is for."""

    manifest: dict[str, Any]
    #: camelCase `Order`, as the typed data's `message`
    order: dict[str, Any]
    #: 0x hex: 65 bytes of a key, or whatever the buyer's contract takes (ERC-1271)
    signature: str = Field(max_length=MAX_SIGNATURE_CHARACTERS)
    #: replicas that must agree about each segment; None = more than half
    quorum: int | None = Field(default=None, ge=1, le=16)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=32)

"""What a buyer holds against a provider: its own signed words that were found wrong."""

from typing import Any, Literal

from protocol.wire.fields import Account, Base, Hash32, SignatureHex, Wire


class Statement(Wire):
    """A usage receipt that a provider signed and that is not so."""

    lease: Hash32
    fill: int
    provider: Account
    #: segment of the job, from 1
    sequence: int
    #: `odd`: the other replicas agreed about something else, or the market's own run did · `struck`: it was paid before
    #: that was found
    verdict: Literal["odd", "struck"]
    #: camelCase fields of `UsageReceipt`
    usage_receipt: dict[str, Any]
    signature: SignatureHex


class Evidence(Wire):
    """With it the buyer's wallet challenges, where the order has an arbiter (SPEC "Disputes")."""

    #: camelCase fields of `Order`
    order: dict[str, Any]
    #: the order's; None = nobody rules, and what was not vouched for is simply not paid
    arbiter: Account | None
    #: base units that a challenge puts at stake, and that each provider has at stake
    bond_base: Base
    data: list[Statement]

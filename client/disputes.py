"""A challenge by the buyer's own wallet: of what a provider signed about a job and that was found wrong.

The market shows the evidence; everything in it is checked here before the wallet puts a bond at stake.
"""

from dataclasses import dataclass

from client.errors import BadAnswer, NothingToChallenge
from client.funds import Funds, Sent
from protocol.errors import ProtocolError
from protocol.hashing import ZERO_ADDRESS, Address, from_hex, to_hex
from protocol.ids import lease_id
from protocol.messages import Domain, digest, from_json, recover
from protocol.terms import Order, UsageReceipt
from protocol.wire.evidence import Evidence, Statement

_WHAT = "GET /v1/jobs/…/evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the wallet would say of one lease."""

    order: Order
    fill: int
    lease: bytes
    provider: Address
    receipt: UsageReceipt
    #: 65 bytes, or what the provider's contract takes
    signature: bytes

    def send(self, funds: Funds) -> Sent:
        """Puts the bond at stake and ends the lease; raises what `Funds` raises."""
        return funds.challenge(self.order, self.fill, self.receipt, self.signature)


def challenge_of(evidence: Evidence, domain: Domain, buyer: Address, lease: str | None = None) -> Challenge:
    """The challenge of that lease, or of the only one that there is evidence against.

    Raises `NothingToChallenge`; `BadAnswer` for evidence that does not hold.
    """
    statement = _chosen(evidence, lease)
    try:
        order = from_json(Order, evidence.order)
        receipt = from_json(UsageReceipt, statement.usage_receipt)
        signature = from_hex(statement.signature)
        signer = recover(domain, receipt, signature)
    except ProtocolError as error:
        raise BadAnswer(_WHAT, str(error)) from error
    found = lease_id(digest(domain, order), statement.fill)
    checks = (
        (order.buyer == buyer, f"the order's buyer is {order.buyer}, not {buyer}"),
        (to_hex(found) == statement.lease, f"fill {statement.fill} of the order is another lease"),
        (receipt.lease == found, "the usage receipt is about another lease"),
        (signer == statement.provider, f"the usage receipt is signed by {signer}, not by {statement.provider}"),
    )
    for holds, fact in checks:
        if not holds:
            raise BadAnswer(_WHAT, fact)
    if order.arbiter == ZERO_ADDRESS:
        raise NothingToChallenge(
            "the order names no arbiter, so nobody could rule; what was found wrong is not paid, and that is all",
            "let the next order name an arbiter and a bond",
        )
    return Challenge(
        order=order, fill=statement.fill, lease=found, provider=signer, receipt=receipt, signature=signature
    )


def _chosen(evidence: Evidence, lease: str | None) -> Statement:
    wanted = [one for one in evidence.data if lease in (None, one.lease)]
    if not wanted:
        whose = "this job's providers" if lease is None else f"lease {lease}"
        fact = f"the market holds no statement of {whose} that was found wrong"
        raise NothingToChallenge(fact, "see `gridlease job evidence`")
    leases = sorted({one.lease for one in wanted})
    if len(leases) > 1:
        raise NothingToChallenge(f"there is evidence against {len(leases)} leases", f"name one: --lease {leases[0]}")
    # The first is where its story leaves the truth.
    return wanted[0]

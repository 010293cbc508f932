"""Orders that your own key signs, instead of the one that the market holds for your API key.

The market writes the order, because it knows the live offers; it is held here to what was asked before it is signed.
"""

import uuid

from client.errors import BadAnswer
from client.http import Http
from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, to_hex
from protocol.keys import Signer
from protocol.manifest import Manifest
from protocol.messages import Domain, digest, from_json, sign, typed_data
from protocol.terms import Order
from protocol.units import parse_dollars
from protocol.wire.accounts import ChainInfo
from protocol.wire.jobs import Job, JobRequest
from protocol.wire.orders import OrderDraft, SignedOrder


class Orders:
    """By a wallet's session, or an API key of the same account."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def prepare(self, request: JobRequest) -> OrderDraft:
        """The unsigned order of a request, with a quote. Nothing is stored or charged."""
        return self._http.post("/v1/orders/prepare", OrderDraft, request)

    def submit(self, signed: SignedOrder, *, idempotency_key: str | None = None, wait_seconds: int = 0) -> Job:
        """Buys with a signed order, once however often it is sent. Raises `NotFunded`, `NotMatched`."""
        key = idempotency_key or uuid.uuid4().hex
        return self._http.post("/v1/orders", Job, signed, idempotency_key=key, wait_seconds=wait_seconds)


def most_base(order: Order) -> int:
    """Base units that the order can cost at most, whatever fails."""
    return order.budget * order.replicas + order.fee * order.max_leases


def checked_order(draft: OrderDraft, request: JobRequest, buyer: Address, chain: ChainInfo) -> Order:
    """The draft's order if it is what was asked for; raises `BadAnswer` with the first thing that is not.

    What it can cost, for which job, whose money, and on which ledger. Zones, traits and sizes are in the order for you
    to read; they cannot make it cost more.
    """
    what = "POST /v1/orders/prepare"
    domain = Domain(chain_id=chain.chain_id, ledger=checksum_address(chain.ledger))
    try:
        order = from_json(Order, draft.typed_data.get("message"))
        job_hash = Manifest.parse(request.manifest).job_hash()
    except ProtocolError as error:
        raise BadAnswer(what, str(error)) from error
    most = most_base(order)
    cap = None if request.max_price is None else parse_dollars(request.max_price)
    checks = (
        (draft.typed_data == typed_data(domain, order), f"not an order for ledger {chain.ledger} on this chain"),
        (draft.digest == to_hex(digest(domain, order)), "the digest is another message's"),
        (order.buyer == buyer, f"the order's buyer is {order.buyer}, not {buyer}"),
        (order.job == job_hash, "the order is for another job"),
        (order.matcher == chain.matcher, f"the order's matcher is {order.matcher}, not this market"),
        (order.fee <= chain.fee_base, f"a fee of {order.fee} base units, the market says {chain.fee_base}"),
        (order.replicas == request.replicas, f"{order.replicas} replicas instead of {request.replicas}"),
        (order.duration == request.duration_seconds, f"leases of {order.duration} s"),
        (request.max_leases in (None, order.max_leases), f"{order.max_leases} leases"),
        (request.max_rate is None or order.max_rate <= request.max_rate, f"a rate of up to {order.max_rate}"),
        (cap is None or most <= cap, f"the order may cost {most} base units, max_price is {cap}"),
        (draft.quote.most_base == most, f"the order may cost {most} base units, the quote says another sum"),
    )
    for holds, fact in checks:
        if not holds:
            raise BadAnswer(what, fact)
    return order


def sign_order(draft: OrderDraft, request: JobRequest, key: Signer, chain: ChainInfo) -> SignedOrder:
    """The draft, checked and signed. Raises `BadAnswer`."""
    order = checked_order(draft, request, key.address, chain)
    domain = Domain(chain_id=chain.chain_id, ledger=checksum_address(chain.ledger))
    return signed_order(draft, request, to_hex(sign(domain, order, key)))


def signed_order(draft: OrderDraft, request: JobRequest, signature: str) -> SignedOrder:
    """What `submit` takes, with a signature that was made elsewhere."""
    return SignedOrder(
        manifest=request.manifest,
        order=draft.typed_data["message"],
        signature=signature,
        quorum=draft.quorum,
        metadata=request.metadata,
    )

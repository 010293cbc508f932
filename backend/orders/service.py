"""Orders that buyers sign: a draft to sign, and the signed order, which becomes a job as any other does."""

from sqlmodel import Session, select

from backend.accounts.service import Principal
from backend.errors import NotAllowed, OrderRefused
from backend.jobs import idempotency
from backend.jobs.draft import Draft
from backend.jobs.order import quorum_of
from backend.jobs.priced import PricedOrder
from backend.jobs.service import Bought, place, require_cap, require_free, require_served
from backend.jobs.tables import JobRow
from backend.market import Market
from backend.orders.terms import OrderRules, require_terms
from protocol.clock import now_time
from protocol.hashing import Address, to_hex
from protocol.ids import new_id
from protocol.manifest import Manifest
from protocol.messages import digest, from_json, typed_data
from protocol.terms import Order
from protocol.wire.jobs import JobRequest
from protocol.wire.orders import OrderDraft, SignedOrder


def prepare(session: Session, market: Market, buyer: Address, request: JobRequest) -> OrderDraft:
    """The order of a request, for its buyer to sign. Raises `BadManifest`, `BadRequest`."""
    with market.mirror.snapshot() as mirror:
        draft = Draft(session, market, mirror, buyer, market.hosted.voucher_signer(buyer).address, request)
    return OrderDraft(
        typed_data=typed_data(market.domain, draft.order),
        digest=to_hex(draft.digest),
        quote=draft.quote(),
        quorum=draft.quorum,
        until_time=draft.order.expiry,
    )


def own_order(caller: Principal, signed: SignedOrder) -> Order:
    """The order as a value; raises `TermOutOfRange`, `BadHex`, and `NotAllowed` for somebody else's."""
    order = from_json(Order, signed.order)
    if order.buyer != caller.address:
        raise NotAllowed(
            f"the order's buyer is {order.buyer}, the credential is {caller.address}'s",
            remedy="send it with a session or an API key of its buyer",
        )
    return order


def job_of(session: Session, market: Market, order: Order) -> JobRow | None:
    """The job that the order was already sent for."""
    return session.exec(select(JobRow).where(JobRow.order_digest == to_hex(digest(market.domain, order)))).first()


def submit(
    session: Session, market: Market, signed: SignedOrder, order: Order, signature: bytes, delegate: Address | None
) -> Bought:
    """The job of an order whose signature was checked: an order is one job, however often it is sent.

    Raises `OrderRefused`, `NotFunded`, `NotMatched`, `BadManifest`, `BadRequest`.
    """
    order_digest = digest(market.domain, order)
    idempotency.hold(session, "order", to_hex(order_digest))
    known = job_of(session, market, order)
    if known is not None:
        return Bought(known)
    manifest = Manifest.parse(signed.manifest)
    account = market.mirror.account(order.buyer)
    if account.beneficiary is not None:
        raise OrderRefused(
            f"{order.buyer} has a beneficiary, so the ledger lets it buy nothing",
            remedy="give its money back to it first (gridlease account beneficiary --none)",
        )
    require_terms(order, manifest, _rules(market, order.buyer, account.epoch))
    if market.mirror.cancelled([(order.buyer, order_digest)]):
        raise OrderRefused("the order is cancelled on chain", remedy="prepare another, with another salt")
    quorum = quorum_of(order.replicas, signed.quorum)
    book = market.live_book.lately(session)
    priced = PricedOrder(market, book, manifest, order, quorum, account.free_base)
    require_served(session, priced)
    if delegate is not None:
        require_cap(market.mirror, order, delegate)
    require_free(priced)
    return place(session, priced, signature, job_id=new_id("job"), key_id=order.buyer, metadata=signed.metadata)


def _rules(market: Market, buyer: Address, epoch: int) -> OrderRules:
    return OrderRules(
        matcher=market.submission_key.address,
        voucher_signer=market.hosted.voucher_signer(buyer).address,
        fee_base=market.settings.fee_base,
        notice_seconds=max(market.settings.notice_seconds, market.deployment.min_notice),
        min_notice=market.deployment.min_notice,
        epoch=epoch,
        now_time=max(now_time(), market.mirror.status().block_time),
    )

"""A request turned into an unsigned order, priced against the live book."""

from dataclasses import replace

from sqlmodel import Session

from backend.jobs.order import OrderContext, at_price, build_order, quorum_of
from backend.jobs.priced import PricedOrder
from backend.jobs.relax import relaxations
from backend.market import Market
from backend.matching.book import BookOffer
from backend.matching.explain import cheapest
from indexer.queries import Reads
from protocol.clock import now_time
from protocol.hashing import Address
from protocol.manifest import Manifest
from protocol.terms import Order
from protocol.wire.jobs import JobRequest, Relaxation


class Draft(PricedOrder):
    """The order of a request, with the book that it was priced against. Raises `BadManifest`, `BadRequest`."""

    def __init__(
        self,
        session: Session,
        market: Market,
        mirror: Reads,
        buyer: Address,
        voucher_signer: Address,
        request: JobRequest,
    ) -> None:
        manifest = Manifest.parse(request.manifest)
        book = market.live_book.lately(session)
        account = mirror.account(buyer)
        context = OrderContext(
            buyer=buyer,
            voucher_signer=voucher_signer,
            matcher=market.submission_key.address,
            fee_base=market.settings.fee_base,
            notice_seconds=max(market.settings.notice_seconds, market.deployment.min_notice),
            now_time=max(now_time(), mirror.status().block_time),
            epoch=account.epoch,
            market_rate=None,
        )
        # The market's rate is that of the cheapest offer that would do but for its rate.
        dearest = build_order(request.model_copy(update={"max_price": None, "max_rate": None}), manifest, context)
        nearest = cheapest(book, dearest, market.deployment.min_notice)
        self.request = request
        self._context = replace(context, market_rate=nearest.offer.rate if nearest else None)
        quorum = quorum_of(request.replicas, request.quorum)
        order = at_price(dearest, request, self._context.market_rate)
        super().__init__(market, book, manifest, order, quorum, account.free_base)

    def _build(self, request: JobRequest) -> Order:
        return build_order(request, Manifest.parse(request.manifest), self._context)

    def changes_for(self, entry: BookOffer) -> list[Relaxation] | None:
        return relaxations(self.request, entry, self._build, self._min_notice)

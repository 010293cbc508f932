"""A request turned into an unsigned order, priced against the live book; and what would become of it now."""

from dataclasses import replace

from sqlmodel import Session

from backend.errors import NotMatched
from backend.jobs.order import OrderContext, build_order, quorum_of
from backend.jobs.relax import relaxations, why
from backend.market import Market
from backend.matching.book import BookOffer, BookOrder
from backend.matching.explain import cheapest, fitting, refused
from backend.matching.policy import match
from protocol.clock import now_milliseconds, now_time
from protocol.events import Skip
from protocol.hashing import Address, to_hex
from protocol.manifest import Manifest
from protocol.messages import digest
from protocol.terms import Order
from protocol.units import format_dollars, format_rate, lock_up
from protocol.wire.jobs import JobRequest, Quote, Refusal
from protocol.zones import zone_by_number

_TRIED: int = 8
"""Offers of a class for which the change that would admit them is looked for, the nearest first."""


class Draft:
    """The order of a request, with the book that it was priced against. Raises `BadManifest`, `BadRequest`."""

    def __init__(
        self, session: Session, market: Market, buyer: Address, voucher_signer: Address, request: JobRequest
    ) -> None:
        self.market = market
        self.request = request
        self.manifest = Manifest.parse(request.manifest)
        self.book = market.live_book.lately(session)
        account = market.mirror.account(buyer)
        self.free_base = account.free_base
        self._context = OrderContext(
            buyer=buyer,
            voucher_signer=voucher_signer,
            matcher=market.submission_key.address,
            fee_base=market.settings.fee_base,
            notice_seconds=max(market.settings.notice_seconds, market.deployment.min_notice),
            now_time=max(now_time(), market.mirror.status().block_time),
            epoch=account.epoch,
            market_rate=None,
        )
        self._min_notice = market.deployment.min_notice
        # The market's rate is that of the cheapest offer that would do but for its rate.
        dearest = build_order(
            request.model_copy(update={"max_price": None, "max_rate": None}), self.manifest, self._context
        )
        nearest = cheapest(self.book, dearest, self._min_notice)
        self._context = replace(self._context, market_rate=nearest.offer.rate if nearest else None)
        self.order: Order = self._build(request)
        self.quorum = quorum_of(request)
        #: whether or not its provider has room now
        self.cheapest: BookOffer | None = cheapest(self.book, self.order, self._min_notice)

    def _build(self, request: JobRequest) -> Order:
        return build_order(request, Manifest.parse(request.manifest), self._context)

    @property
    def digest(self) -> bytes:
        return digest(self.market.domain, self.order)

    @property
    def most_base(self) -> int:
        """Base units that the order can cost at most, whatever fails."""
        return self.order.budget * self.order.replicas + self.order.fee * self.order.max_leases

    def lock_base(self, entry: BookOffer) -> int:
        """Base units that one lease of the offer would hold."""
        return min(lock_up(entry.offer.rate, self.order.quantity), self.order.budget)

    def require_match(self) -> None:
        """An order that no live offer could ever meet is refused now; one that only has to wait is queued."""
        if self.cheapest is not None:
            self._require_as_many_as_replicas()
            return
        refusals = self.refusals()
        raise NotMatched(
            f"none of {len(self.book)} live offers meets the order",
            remedy=nearest_remedy(refusals),
            refusals=[refusal.model_dump(mode="json") for refusal in refusals],
        )

    def _require_as_many_as_replicas(self) -> None:
        order = self.order
        if order.replicas == 1:
            return
        offers = [entry.offer for entry in fitting(self.book, order, self._min_notice)]
        providers, zones = len({offer.provider for offer in offers}), len({offer.zone for offer in offers})
        if min(providers, zones if order.distinct_zones else providers) < order.replicas:
            raise NotMatched(
                f"{order.replicas} replicas need as many providers; {providers} in {zones} zones meet the order",
                remedy="ask for fewer replicas" + (", or not for distinct zones" if order.distinct_zones else ""),
            )

    def refusals(self) -> list[Refusal]:
        """One for each reason why an offer would not be taken now."""
        classes = refused(self.book, self.order, self._min_notice)
        return [self._refusal(skip, entries) for skip, entries in classes.items()]

    def _refusal(self, skip: Skip, entries: list[BookOffer]) -> Refusal:
        nearest, changes = entries[0], None
        for entry in entries[:_TRIED] if skip is not Skip.CAPACITY else ():
            found = relaxations(self.request, entry, self._build, self._min_notice)
            if found and (changes is None or len(found) < len(changes)):
                nearest, changes = entry, found
        zone = zone_by_number(nearest.offer.zone)
        reason = why(skip, nearest, self.order)
        return Refusal(
            reason=skip.name.lower(),
            offers=len(entries),
            why=reason,
            relaxations=changes or [],
            offer=to_hex(nearest.digest),
            provider=nearest.offer.provider,
            zone=zone.id if zone else None,
            remedy=" and ".join(change.text for change in changes) if changes else reason,
        )

    def quote(self) -> Quote:
        """What would happen now."""
        entry = BookOrder(
            digest=self.digest, order=self.order, fills=tuple(range(self.order.replicas)), arrived=now_milliseconds()
        )
        pairings = match(self.book, [entry], self._min_notice)
        chosen = pairings[0].offer if pairings else None
        zone = zone_by_number(chosen.offer.zone) if chosen else None
        lock = sum(self.lock_base(pairing.offer) for pairing in pairings) if chosen else None
        refusals = self.refusals()
        full = sum(refusal.offers for refusal in refusals if refusal.reason != Skip.CAPACITY.name.lower())
        order = self.order
        return Quote(
            job_hash=to_hex(order.job),
            would_match=chosen is not None,
            offer=to_hex(chosen.digest) if chosen else None,
            provider=chosen.offer.provider if chosen else None,
            zone=zone.id if zone else None,
            rate=chosen.offer.rate if chosen else None,
            rate_dollars=format_rate(order.meter, chosen.offer.rate) if chosen else None,
            max_rate=order.max_rate,
            max_rate_dollars=format_rate(order.meter, order.max_rate),
            lock_base=lock,
            lock_dollars=format_dollars(lock) if lock is not None else None,
            fee_base=order.fee * order.replicas,
            fee_dollars=format_dollars(order.fee * order.replicas),
            most_base=self.most_base,
            most_dollars=format_dollars(self.most_base),
            offers=len(self.book),
            fitting=len(self.book) - full,
            refusals=refusals,
        )


def nearest_remedy(refusals: list[Refusal]) -> str:
    """Of the class that needs the fewest changes."""
    open_ones = [refusal for refusal in refusals if refusal.relaxations]
    if open_ones:
        return min(open_ones, key=lambda refusal: len(refusal.relaxations)).remedy
    return refusals[0].remedy if refusals else "no provider is online; try again later"

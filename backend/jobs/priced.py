"""An order, signed or not yet, against the live book: what it would cost, whom it would get, and why not."""

from collections.abc import Sequence

from backend.errors import NotMatched
from backend.jobs.relax import why
from backend.market import Market
from backend.matching.book import BookOffer, BookOrder
from backend.matching.explain import cheapest, fitting, refused
from backend.matching.policy import match
from protocol.clock import now_milliseconds
from protocol.events import Skip
from protocol.hashing import to_hex
from protocol.manifest import Manifest
from protocol.messages import digest
from protocol.terms import Order
from protocol.units import format_dollars, format_rate, lock_up
from protocol.wire.jobs import Quote, Refusal, Relaxation
from protocol.zones import zone_by_number

_TRIED: int = 8
"""Offers of a class for which the change that would admit them is looked for, the nearest first."""


class PricedOrder:
    """An order with the book that it is priced against."""

    def __init__(
        self, market: Market, book: Sequence[BookOffer], manifest: Manifest, order: Order, quorum: int, free_base: int
    ) -> None:
        self.market = market
        #: the cheapest first
        self.book = book
        self.manifest = manifest
        self.order = order
        #: replicas that must agree about a segment
        self.quorum = quorum
        #: base units that the buyer has free
        self.free_base = free_base
        self._min_notice = market.deployment.min_notice
        #: whether or not its provider has room now
        self.cheapest: BookOffer | None = cheapest(book, order, self._min_notice)

    def changes_for(self, entry: BookOffer) -> list[Relaxation] | None:
        """What the buyer would have to ask otherwise for the offer to fit; None if that cannot be said."""
        return None

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
            found = self.changes_for(entry)
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

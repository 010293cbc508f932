"""Why offers do not meet an order: each by the first term that keeps it from it, in the ledger's order of checks."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from backend.matching.book import BookOffer
from protocol.events import Skip
from protocol.fit import mismatch
from protocol.resources import LANE_BITS
from protocol.terms import Offer, Order

_WHOLE: Final = 10**6
"""A gap of all that was asked for."""


def cheapest(by_rate: Iterable[BookOffer], order: Order, min_notice: int) -> BookOffer | None:
    """The first offer that meets the order, whether its provider has room now or not; `min_notice` in seconds."""
    return next((entry for entry in by_rate if mismatch(entry.offer, order, min_notice) is Skip.NONE), None)


def fitting(offers: Iterable[BookOffer], order: Order, min_notice: int) -> list[BookOffer]:
    """The offers that meet the order, whether their providers have room now or not."""
    return [entry for entry in offers if mismatch(entry.offer, order, min_notice) is Skip.NONE]


def refused(offers: Iterable[BookOffer], order: Order, min_notice: int) -> dict[Skip, list[BookOffer]]:
    """The offers that the order cannot have now, by reason; in each class that one first that is nearest to fitting."""
    classes: defaultdict[Skip, list[BookOffer]] = defaultdict(list)
    for entry in offers:
        skip = mismatch(entry.offer, order, min_notice)
        if skip is Skip.NONE and entry.room == 0:
            skip = Skip.CAPACITY
        if skip is not Skip.NONE:
            classes[skip].append(entry)
    for skip, entries in classes.items():
        entries.sort(key=lambda entry: (_gap(entry.offer, order, skip), entry.digest))
    return dict(sorted(classes.items()))


def _gap(offer: Offer, order: Order, skip: Skip) -> int:
    """How far the offer is from the term, in millionths of what the order asks."""
    match skip:
        case Skip.RATE:
            return _share(offer.rate - order.max_rate, order.max_rate)
        case Skip.DURATION:
            nearest = min(max(order.duration, offer.min_duration), offer.max_duration)
            return _share(abs(nearest - order.duration), order.duration)
        case Skip.QUANTITIES:
            return sum(_share(need - has, need) for has, need in _lanes(offer.quantities, order.quantities))
        case Skip.TRAITS:
            return (order.all_of & ~offer.traits).bit_count() + (order.none_of & offer.traits).bit_count()
    return 0


def _share(part: int, whole: int) -> int:
    return _WHOLE * part // max(1, whole)


def _lanes(offered: int, needed: int) -> list[tuple[int, int]]:
    """(offered, needed) of each lane that is short."""
    pairs = [(offered >> shift & 0xFFFF, needed >> shift & 0xFFFF) for shift in range(0, 256, LANE_BITS)]
    return [(has, need) for has, need in pairs if has < need]

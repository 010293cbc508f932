"""The offers within an order's reach: those that fit it, in the rule's order.

The cheapest `MOST_WEIGHED` are weighed at every bid; of the dearer ones only those with a free seat.
"""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import numpy as np

from backend.matching.book import BookOffer, BookOrder
from backend.matching.columns import NO_PROVIDER, NO_ZONE, Need, needs_of
from backend.matching.fits import Walk
from backend.matching.index import OfferIndex, room_of
from backend.matching.kernel import SAVING, SPOT, Numbers, choose
from backend.matching.page import key_of
from backend.matching.sheet import Sheet
from protocol.events import Skip
from protocol.fit import mismatch

MOST_WEIGHED: Final = 128
MOST_SAVING: Final = 1 << 60
"""What an order can save at most counts for no more: pico-dollars, over a million dollars. Sums stay within 64 bits."""

_NO_NUMBERS: Final = np.empty(0, np.int64)


class Seats:
    """What is asked for seats in a sitting."""

    __slots__ = ("asked", "sheet")

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        #: pico-dollars by door, 0 while the door has a free seat; from then on it only rises
        self.asked = np.zeros(sheet.index.doors, np.int64)


class Choice(NamedTuple):
    """What a bidder likes best at what is asked now."""

    offer: BookOffer
    #: what it saves by it over what is asked: pico-dollars
    best: int
    #: the same for the best offer of any other provider; 0 if there is none, which is to stay out
    second: int


class Reach:
    """Of one order in one sitting."""

    __slots__ = ("_fits", "_is_spread", "_seats", "_walk")

    def __init__(self, seats: Seats, order: BookOrder, fits: Numbers, walk: Walk | None = None) -> None:
        self._seats = seats
        self._is_spread = order.order.distinct_zones
        #: first those that are weighed; behind them those that had a free seat, as far as it had to look
        self._fits = fits
        #: what is farther; None if nothing is
        self._walk = walk

    @property
    def saving(self) -> int:
        """By the cheapest offer, in pico-dollars."""
        return int(self._fits[0, SAVING])

    def choose(self, beside: Collection[BookOffer]) -> Choice | None:
        """The offer that saves most over what is asked, the first of equals; None if none is worth it.

        `beside`: the offers of the order's other replicas. Behind the second provider with a free seat nothing is
        better than these two, so the search ends there.
        """
        sheet, asked = self._seats.sheet, self._seats.asked
        owners = zones = _NO_NUMBERS
        if beside:
            owners = np.array([sheet.index.providers[other.offer.provider].number for other in beside], np.int64)
            if self._is_spread:
                zones = np.array([other.offer.zone for other in beside], np.int64)
        while True:
            chosen, best, second, free = choose(self._fits, asked, MOST_WEIGHED, owners, zones)
            if self._walk is None or free >= 2:
                break
            self._look_on(self._walk)
        return None if chosen < 0 else Choice(sheet.entry(int(self._fits[chosen, SPOT])), best, second)

    def _look_on(self, walk: Walk) -> None:
        self._fits = np.concatenate((self._fits, walk.go_on(self._seats.asked)))
        if walk.is_over:
            self._walk = None


def reaches_of(seats: Seats, order: BookOrder, min_notice: int) -> list[Reach]:
    """Those in which anything is, first the one that the order prefers; `min_notice` in seconds."""
    walk = _walk(seats.sheet, order, min_notice)
    return [] if walk is None else [*_first(seats, order, walk), *_again(seats, order, walk, min_notice)]


def _walk(sheet: Sheet, order: BookOrder, min_notice: int) -> Walk | None:
    """Past the providers that come later or never, and the zones that are held."""
    terms = order.order
    without: list[Need] = [(NO_ZONE, zone) for zone in order.held_zones] if terms.distinct_zones else []
    known = sheet.index.providers
    passed = [known[one] for one in order.tried | order.serving if one in known]
    needs = needs_of(terms, min_notice, (*without, *[(NO_PROVIDER, provider.number) for provider in passed]))
    if needs is None:
        return None
    # What one lease pays for, as far as the budget covers it at the order's highest rate.
    units = min(terms.quantity, min(terms.budget * 10**6, MOST_SAVING) // max(1, terms.max_rate))
    return Walk(sheet, needs, terms.max_rate, units, MOST_WEIGHED)


def _first(seats: Seats, order: BookOrder, walk: Walk) -> Iterator[Reach]:
    near = walk.go_on(seats.asked)
    if len(near):
        yield Reach(seats, order, near, None if walk.is_over else walk)


def _again(seats: Seats, order: BookOrder, walk: Walk, min_notice: int) -> Iterator[Reach]:
    """A retry goes elsewhere while there is an elsewhere."""
    index = seats.sheet.index
    fits = []
    for entry in tried_again(index, order, min_notice)[:MOST_WEIGHED] if order.tried else ():
        provider = index.providers[entry.offer.provider]
        saving = (walk.max_rate - entry.offer.rate) * walk.units
        fits.append(
            (seats.sheet.spot(entry), provider.doors[room_of(entry)], provider.number, entry.offer.zone, saving)
        )
    if fits:
        yield Reach(seats, order, np.array(fits, np.int64))


def is_allowed(entry: BookOffer, order: BookOrder) -> bool:
    """Whether neither provider nor zone is one that the order's other fills keep from it."""
    is_held = order.order.distinct_zones and entry.offer.zone in order.held_zones
    return entry.offer.provider not in order.serving and not is_held


def tried_again(index: OfferIndex, order: BookOrder, min_notice: int) -> list[BookOffer]:
    """Offers of providers that served an earlier fill and could serve again, in the rule's order."""
    offers = [
        entry
        for provider in order.tried
        for entry in (index.providers[provider].offers.values() if provider in index.providers else ())
        if mismatch(entry.offer, order.order, min_notice) is Skip.NONE and is_allowed(entry, order)
    ]
    return sorted(offers, key=key_of)

"""The offers within an order's reach: those that fit it, in the rule's order.

The cheapest `MOST_WEIGHED` are weighed at every bid; of the dearer ones only those with a free seat.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.matching.book import BookOffer, BookOrder
from backend.matching.columns import NO_PROVIDER, NO_ZONE, Need, needs_of
from backend.matching.fits import Fits, Walk, walk_on
from backend.matching.index import OfferIndex, room_of
from backend.matching.page import Numbers, key_of
from protocol.events import Skip
from protocol.fit import mismatch

MOST_WEIGHED: Final = 128
MOST_SAVING: Final = 1 << 60
"""What an order can save at most counts for no more: pico-dollars, over a million dollars. Sums stay within 64 bits."""

FREE_AHEAD: Final = 32
"""Free offers that an order should know of before it bids: others take some first."""
_BARRED: Final = 1 << 61
"""More than any order can save: asked where a replica must not go."""


class Seats:
    """What is asked for seats in a sitting."""

    __slots__ = ("asked", "index")

    def __init__(self, index: OfferIndex) -> None:
        self.index = index
        #: pico-dollars by door, 0 while the door has a free seat; from then on it only rises
        self.asked = np.zeros(index.doors, np.int64)


class Choice(NamedTuple):
    """What a bidder likes best at what is asked now."""

    offer: BookOffer
    #: what it saves by it over what is asked: pico-dollars
    best: int
    #: the same for the best offer of any other provider; 0 if there is none, which is to stay out
    second: int


class Reach:
    """Of one order in one sitting."""

    __slots__ = ("_fits", "_order", "seats", "walk")

    def __init__(self, seats: Seats, order: BookOrder, fits: Fits, walk: Walk | None = None) -> None:
        self.seats, self._order = seats, order
        #: first those that are weighed; behind them those that had a free seat, as far as it had to look
        self._fits = fits
        #: what is farther; None if nothing is
        self.walk = walk

    @property
    def saving(self) -> int:
        """By the cheapest offer, in pico-dollars."""
        return int(self._fits.savings[0])

    def free(self) -> int:
        """How many of those it knows have a free seat."""
        return len(self._fits.doors) - int(np.count_nonzero(self.seats.asked[self._fits.doors]))

    def farther(self, found: Fits) -> None:
        """Takes what its walk found."""
        if len(found.spots):
            self._fits = Fits(*[np.concatenate(pair) for pair in zip(self._fits, found, strict=True)])
        if self.walk is not None and self.walk.is_over:
            self.walk = None

    def choose(self, beside: list[BookOffer]) -> Choice | None:
        """The offer that saves most over what is asked, the first of equals; None if none is worth it.

        `beside`: the offers of the order's other replicas. Behind the second provider with a free seat nothing is
        better than these two, so the search ends there.
        """
        while True:
            spots, doors, owners, savings = self._fits
            prices = self.seats.asked[doors]
            if beside:
                prices[self._barred(spots, owners, beside)] = _BARRED
            if self.walk is None or self._has_two(owners, prices):
                break
            _look_on([self])
        net = savings - prices
        if len(net) > MOST_WEIGHED:
            net[MOST_WEIGHED:][prices[MOST_WEIGHED:] > 0] = -1
        chosen = int(net.argmax())
        best = int(net[chosen])
        if best <= 0:
            # A seat that is taken must save something still; a free one is taken for nothing.
            worthless = ((net == 0) & (prices == 0)).nonzero()[0]
            if not len(worthless):
                return None
            chosen, best = int(worthless[0]), 0
        if self.seats.index.plural:
            net[owners == owners[chosen]] = -1
        else:
            net[chosen] = -1
        return Choice(self.seats.index.entry(int(spots[chosen])), best, max(0, int(net[net.argmax()])))

    def _has_two(self, owners: Numbers, prices: Numbers) -> bool:
        """Whether two providers or more have a free seat."""
        if not self.seats.index.plural:
            return len(prices) - int(np.count_nonzero(prices)) >= 2
        owners = owners[prices == 0]
        return bool(len(owners)) and bool((owners != owners[0]).any())

    def _barred(self, spots: Numbers, owners: Numbers, beside: list[BookOffer]) -> NDArray[np.bool_]:
        """Which have a provider or, where it matters, a zone that another replica has."""
        index = self.seats.index
        barred = np.isin(owners, [index.providers[other.offer.provider].number for other in beside])
        if self._order.order.distinct_zones:
            zones = {other.offer.zone for other in beside}
            barred |= np.array([index.entry(spot).offer.zone in zones for spot in spots.tolist()], np.bool_)
        return barred


def look_ahead(reaches: Iterable[Reach]) -> None:
    """Looks on for all that would have to soon: for many at once it takes a fraction of the time."""
    short = [reach for reach in reaches if reach.walk is not None and reach.free() < FREE_AHEAD]
    while short:
        _look_on(short)
        short = [reach for reach in short if reach.walk is not None and reach.free() < FREE_AHEAD]


def _look_on(reaches: list[Reach]) -> None:
    seats = reaches[0].seats
    walks = [reach.walk for reach in reaches if reach.walk is not None]
    for reach, found in zip(reaches, walk_on(seats.index, seats.asked, walks, MOST_WEIGHED), strict=True):
        reach.farther(found)


def reaches_of(seats: Seats, orders: Sequence[BookOrder], min_notice: int) -> list[list[Reach]]:
    """Of each order those in which anything is, first the one that it prefers; `min_notice` in seconds."""
    index = seats.index
    walks = [_walk(index, order, min_notice) for order in orders]
    found = iter(walk_on(index, seats.asked, [walk for walk in walks if walk is not None], MOST_WEIGHED))
    return [
        [] if walk is None else [*_first(seats, order, walk, next(found)), *_again(seats, order, walk, min_notice)]
        for order, walk in zip(orders, walks, strict=True)
    ]


def _walk(index: OfferIndex, order: BookOrder, min_notice: int) -> Walk | None:
    """Past the providers that come later or never, and the zones that are held."""
    terms = order.order
    without: list[Need] = [(NO_ZONE, zone) for zone in order.held_zones] if terms.distinct_zones else []
    passed = [index.providers[one] for one in order.tried | order.serving if one in index.providers]
    needs = needs_of(terms, min_notice, (*without, *[(NO_PROVIDER, provider.number) for provider in passed]))
    if needs is None:
        return None
    # What one lease pays for, as far as the budget covers it at the order's highest rate.
    units = min(terms.quantity, min(terms.budget * 10**6, MOST_SAVING) // max(1, terms.max_rate))
    return Walk(needs, terms.max_rate, units, MOST_WEIGHED)


def _first(seats: Seats, order: BookOrder, walk: Walk, near: Fits) -> Iterator[Reach]:
    if len(near.spots):
        walk.is_free = True
        yield Reach(seats, order, near, None if walk.is_over else walk)


def _again(seats: Seats, order: BookOrder, walk: Walk, min_notice: int) -> Iterator[Reach]:
    """A retry goes elsewhere while there is an elsewhere."""
    index = seats.index
    entries = tried_again(index, order, min_notice)[:MOST_WEIGHED] if order.tried else []
    if entries:
        providers = [index.providers[entry.offer.provider] for entry in entries]
        doors = [provider.doors[room_of(entry)] for provider, entry in zip(providers, entries, strict=True)]
        savings = [(walk.max_rate - entry.offer.rate) * walk.units for entry in entries]
        columns = (
            [index.spot(entry) for entry in entries],
            doors,
            [provider.number for provider in providers],
            savings,
        )
        yield Reach(seats, order, Fits(*(np.array(column, np.int64) for column in columns)))


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

"""The offers within an order's reach: those that fit it, in the rule's order, as far as it had to look.

The cheapest `MOST_WEIGHED` are weighed at every bid; of the dearer ones only those with a free seat.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.matching.book import BookOffer, BookOrder
from backend.matching.columns import Needs
from backend.matching.index import OfferIndex
from backend.matching.page import key_of, places_in
from protocol.events import Skip
from protocol.fit import mismatch

MOST_WEIGHED: Final = 128
MOST_SAVING: Final = 1 << 60
"""What an order can save at most counts for no more: pico-dollars, over a million dollars. Sums stay within 64 bits."""

_FIRST_LOOK: Final = 4
_BARRED: Final = -1
_NONE: Final = np.empty(0, np.int64)


class Seats:
    """What is asked for seats in a sitting."""

    __slots__ = ("asked", "index", "owners")

    def __init__(self, index: OfferIndex) -> None:
        self.index = index
        #: pico-dollars by door, 0 while the door has a free seat
        self.asked = np.zeros(len(index.owners), np.int64)
        #: number of each door's provider
        self.owners = np.array(index.owners, np.int64)


class Choice(NamedTuple):
    """What a bidder likes best at what is asked now."""

    offer: BookOffer
    door: int
    #: what it saves by it over what is asked: pico-dollars
    best: int
    #: the same for the best offer of any other provider; 0 if there is none, which is to stay out
    second: int


class Found(NamedTuple):
    """Offers, in the rule's order: their page and place, door and rate."""

    page: int
    places: NDArray[np.int64]
    doors: NDArray[np.int64]
    rates: NDArray[np.int64]


class Walk:
    """The offers that an order's needs let through, page by page, cheapest first. Valid until the index changes."""

    __slots__ = ("_index", "_max_rate", "_needs", "_number", "_places")

    def __init__(self, index: OfferIndex, needs: Needs, max_rate: int) -> None:
        self._index, self._needs, self._max_rate = index, needs, max_rate
        #: the page that is read, and what is left on it
        self._number = -1
        self._places = _NONE

    def take(self, most: int) -> Found | None:
        """The next offers of one page; None if there are no more."""
        if not len(self._places) and not self._turn():
            return None
        taken, self._places = self._places[:most], self._places[most:]
        return self._found(taken)

    def take_free(self, asked: NDArray[np.int64]) -> Found | None:
        """The next one with a free seat; those before it are left out for good."""
        while True:
            if len(self._places):
                doors = self._index.pages[self._number].doors
                self._places = self._places[asked[doors[self._places]] == 0]
            if len(self._places):
                return self.take(1)
            if not self._turn():
                return None

    def _found(self, places: NDArray[np.int64]) -> Found:
        page = self._index.pages[self._number]
        return Found(self._number, places, page.doors[places], page.rates[places])

    def _turn(self) -> bool:
        """To the next page where anything fits."""
        pages = self._index.pages
        while self._number + 1 < len(pages):
            self._number += 1
            page = pages[self._number]
            if page.keys and page.keys[0][0] > self._max_rate:
                self._number = len(pages)
                break
            fitting = page.fitting(self._needs, self._max_rate)
            if fitting:
                self._places = places_in(fitting)
                return True
        return False


class Reach:
    """Of one order in one sitting."""

    __slots__ = (
        "_beyond",
        "_doors",
        "_is_whole",
        "_offers",
        "_order",
        "_savings",
        "_seats",
        "_spots",
        "_units",
        "_walk",
    )

    def __init__(self, seats: Seats, order: BookOrder, walk: Walk | None, tried: Iterable[BookOffer] = ()) -> None:
        terms = order.order
        self._seats, self._order, self._walk = seats, order, walk
        #: that its budget pays for at its highest rate
        self._units = min(terms.quantity, min(terms.budget * 10**6, MOST_SAVING) // max(1, terms.max_rate))
        self._doors = self._savings = _NONE
        #: page and places, or the offers themselves
        self._spots: list[tuple[int, NDArray[np.int64]]] = []
        self._offers = list(tried)[:MOST_WEIGHED]
        self._beyond: list[tuple[BookOffer, int, int]] = []
        #: nothing is beyond what is weighed
        self._is_whole = walk is None
        if walk is None:
            self._doors = np.array([seats.index.door(entry) for entry in self._offers], np.int64)
            self._savings = self._saved(np.array([entry.offer.rate for entry in self._offers], np.int64))
        else:
            self._look(_FIRST_LOOK)

    @property
    def saving(self) -> int | None:
        """By the cheapest offer, in pico-dollars; None if nothing is within reach."""
        return int(self._savings[0]) if len(self._savings) else None

    def choose(self, beside: list[BookOffer]) -> Choice | None:
        """The offer that saves most over what is asked, the first of equals; None if none is worth it.

        `beside`: the offers of the order's other replicas. Behind the second provider with a free seat nothing is
        better than these two, so the search ends there.
        """
        seats, barred = self._seats, None
        prices = seats.asked[self._doors]
        if beside:
            barred = self._beside(beside)
        is_enough = self._is_whole or self._has_two_free(prices, barred)
        while not is_enough and self._look(4 * len(prices)):
            prices = seats.asked[self._doors]
            if beside:
                barred = self._beside(beside)
            is_enough = self._has_two_free(prices, barred)
        net = self._savings - prices
        if barred is not None:
            net[barred] = _BARRED
        choice = self._best(net, prices)
        if is_enough or self._is_whole:
            return choice
        for offer, door, saving in self._free_beyond(beside):
            # What is farther saves less, so each of them is behind the first of equals.
            if choice is None:
                choice = Choice(offer, door, saving, 0)
            elif seats.owners[door] != seats.owners[choice.door]:
                better, worse = (choice.best, saving) if saving <= choice.best else (saving, choice.best)
                chosen = choice if saving <= choice.best else Choice(offer, door, saving, 0)
                choice = Choice(chosen.offer, chosen.door, better, max(choice.second, worse))
            elif saving > choice.best:
                choice = Choice(offer, door, saving, choice.second)
        return choice

    def _best(self, net: NDArray[np.int64], prices: NDArray[np.int64]) -> Choice | None:
        """Of those that are weighed. Overwrites `net`."""
        if not len(net):
            return None
        chosen = int(net.argmax())
        best = int(net[chosen])
        if best <= 0:
            # A seat that is taken must save something still; a free one is taken for nothing.
            worthless = np.flatnonzero((net == 0) & (prices == 0))
            if not len(worthless):
                return None
            chosen, best = int(worthless[0]), 0
        seats, door = self._seats, int(self._doors[chosen])
        if seats.index.plural:
            net[seats.owners[self._doors] == seats.owners[door]] = _BARRED
        else:
            net[chosen] = _BARRED
        return Choice(self._offer(chosen), door, best, max(0, int(net[net.argmax()])))

    def _beside(self, others: list[BookOffer]) -> NDArray[np.bool_]:
        """Which of those that are weighed have a provider or, where it matters, a zone that another replica has."""
        seats = self._seats
        held = [seats.index.providers[other.offer.provider].number for other in others]
        barred = np.isin(seats.owners[self._doors], held)
        if self._order.order.distinct_zones:
            zones = {other.offer.zone for other in others}
            barred |= np.array([offer.offer.zone in zones for offer in self._all()], np.bool_)
        return barred

    def _has_two_free(self, prices: NDArray[np.int64], barred: NDArray[np.bool_] | None) -> bool:
        if len(prices) - np.count_nonzero(prices) < 2:
            return False
        if not self._seats.index.plural and barred is None:
            return True
        is_free = prices == 0 if barred is None else (prices == 0) & ~barred
        owners = self._seats.owners[self._doors[is_free]]
        return bool(len(owners) and (owners != owners[0]).any())

    def _look(self, wanted: int) -> bool:
        """Looks further, up to so many offers; False if there is nothing more to weigh."""
        before, wanted = len(self._doors), min(wanted, MOST_WEIGHED)
        while len(self._doors) < wanted and not self._is_whole:
            # All of a page that can be weighed: a second look would cost more.
            found = self._walk.take(MOST_WEIGHED - len(self._doors)) if self._walk else None
            if found is None:
                self._is_whole = True
                break
            if self._is_choosy:
                found = self._allowed(found)
            self._spots.append((found.page, found.places))
            self._doors = np.concatenate((self._doors, found.doors)) if len(self._doors) else found.doors
            savings = self._saved(found.rates)
            self._savings = np.concatenate((self._savings, savings)) if len(self._savings) else savings
        return len(self._doors) > before

    def _saved(self, rates: NDArray[np.int64]) -> NDArray[np.int64]:
        return (self._order.order.max_rate - rates) * self._units

    def _offer(self, number: int) -> BookOffer:
        if self._offers:
            return self._offers[number]
        for page, places in self._spots:
            if number < len(places):
                return self._seats.index.pages[page].entries[int(places[number])]
            number -= len(places)
        raise IndexError(number)

    def _all(self) -> list[BookOffer]:
        pages = self._seats.index.pages
        return self._offers or [pages[page].entries[place] for page, places in self._spots for place in places.tolist()]

    def _free_beyond(self, beside: list[BookOffer]) -> list[tuple[BookOffer, int, int]]:
        """Free offers beyond those that are weighed, up to the second provider: (offer, door, saving)."""
        self._beyond = [one for one in self._beyond if not self._seats.asked[one[1]]]
        free: list[tuple[BookOffer, int, int]] = []
        waiting = iter(self._beyond.copy())
        while not any(one[0].offer.provider != free[0][0].offer.provider for one in free):
            one = next(waiting, None) or self._next_free()
            if one is None:
                break
            if not _is_beside(one[0], beside, self._order):
                free.append(one)
        return free

    def _next_free(self) -> tuple[BookOffer, int, int] | None:
        while self._walk is not None:
            found = self._walk.take_free(self._seats.asked)
            if found is None:
                self._walk = None
            elif not self._is_choosy or len((found := self._allowed(found)).places):
                offer = self._seats.index.pages[found.page].entries[int(found.places[0])]
                self._beyond.append((offer, int(found.doors[0]), int(self._saved(found.rates)[0])))
                return self._beyond[-1]
        self._is_whole = not self._beyond
        return None

    @property
    def _is_choosy(self) -> bool:
        return bool(self._order.tried or self._order.serving or self._order.held_zones)

    def _allowed(self, found: Found) -> Found:
        """Without providers that come later or never, and zones that are held."""
        entries = self._seats.index.pages[found.page].entries
        offers = [entries[place] for place in found.places.tolist()]
        tried = self._order.tried
        kept = [one.offer.provider not in tried and is_allowed(one, self._order) for one in offers]
        return Found(found.page, found.places[kept], found.doors[kept], found.rates[kept])


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


def _is_beside(entry: BookOffer, others: Iterable[BookOffer], order: BookOrder) -> bool:
    """Whether a replica of the same order has a seat of that provider or, where it matters, in that zone."""
    offer, distinct = entry.offer, order.order.distinct_zones
    return any(
        offer.provider == other.offer.provider or (distinct and offer.zone == other.offer.zone) for other in others
    )

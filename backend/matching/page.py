"""A page of the book: some thousand offers in the rule's order, and who of them has which zone, trait, lane and terms.

A set of places is one integer, bit n for place n. The offers that fit an order are an intersection of such sets, a few
machine words at a time.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.matching.book import BookOffer
from backend.matching.columns import Needs, Terms, bits_of, terms_meet, terms_of

MOST_PLACES: Final = 8192
"""A fuller page is split: a change shifts the places behind it, in each set of its page."""
_MOST_REMEMBERED: Final = 1024

T = TypeVar("T", np.int64, np.uint16)
Key = tuple[int, int, bytes]
"""The rule's order of offers: rate, leases that the provider serves, digest."""


def key_of(entry: BookOffer) -> Key:
    return entry.offer.rate, entry.open_leases, entry.digest


class Placed(NamedTuple):
    """An offer with the door that it opens (index.py)."""

    entry: BookOffer
    door: int


class Page:
    """Offers in the order of their keys."""

    __slots__ = (
        "_lanes",
        "_remembered",
        "_terms",
        "_terms_here",
        "_traits",
        "_zones",
        "doors",
        "entries",
        "keys",
        "rates",
    )

    def __init__(self, offers: Sequence[tuple[Key, Placed]]) -> None:
        self.keys = [key for key, _ in offers]
        self.entries = [placed.entry for _, placed in offers]
        self.doors = np.array([placed.door for _, placed in offers], np.int64)
        #: pico-dollars per metered unit
        self.rates = np.array([key[0] for key in self.keys], np.int64)
        #: a row of 16 lanes for each place
        self._lanes = _lanes(self.entries)
        #: terms that offers here have or had, and of each place the number of its terms among them
        self._terms: dict[Terms, int] = {}
        self._terms_here = np.array([self._number_of(entry) for entry in self.entries], np.int64)
        #: value → places
        self._zones: dict[int, int] = {}
        self._traits: dict[int, int] = {}
        #: need → places, of lanes and terms, until the page changes
        self._remembered: dict[Hashable, int] = {}
        for place, entry in enumerate(self.entries):
            self._enter(entry, 1 << place)

    def fitting(self, needs: Needs, max_rate: int) -> int:
        """Places of the offers that meet all needs and cost at most `max_rate`."""
        affordable = int(self.rates.searchsorted(max_rate, "right"))
        remembered = self._remembered
        found = remembered.get(needs.terms)
        places = (self._on_terms(needs) if found is None else found) & (1 << affordable) - 1
        for need in needs.lanes:
            found = remembered.get(need)
            places &= self._with_lane(need) if found is None else found
            if not places:
                return 0
        if needs.zones is not None:
            places &= _union(self._zones, needs.zones)
        elif needs.declared:
            places &= ~self._zones.get(0, 0)
        for trait in needs.all_of:
            places &= self._traits.get(trait, 0)
        if needs.any_of:
            places &= _union(self._traits, needs.any_of)
        if needs.none_of and places:
            places &= ~_union(self._traits, needs.none_of)
        return places

    def insert(self, key: Key, placed: Placed) -> None:
        place = bisect_left(self.keys, key)
        terms = np.array([self._number_of(placed.entry)], np.int64)
        self.keys.insert(place, key)
        self.entries.insert(place, placed.entry)
        self.doors = _with(self.doors, place, np.array([placed.door], np.int64))
        self.rates = _with(self.rates, place, np.array([key[0]], np.int64))
        self._terms_here = _with(self._terms_here, place, terms)
        self._lanes = _with(self._lanes, place, _lanes([placed.entry]))
        below = (1 << place) - 1
        behind = (1 << len(self.keys)) - 1 ^ below
        for sets in self._sets():
            for value, places in sets.items():
                if places > below:
                    # Twice what is behind: each of these bits moves up by one.
                    sets[value] = places + (places & behind)
        self._enter(placed.entry, 1 << place)
        self._remembered.clear()

    def remove(self, key: Key) -> None:
        place = bisect_left(self.keys, key)
        entry = self.entries[place]
        del self.keys[place], self.entries[place]
        self.doors = _without(self.doors, place)
        self.rates = _without(self.rates, place)
        self._terms_here = _without(self._terms_here, place)
        self._lanes = _without(self._lanes, place)
        self._leave(entry, 1 << place)
        below = (1 << place) - 1
        behind = (2 << len(self.keys)) - 1 ^ below
        for sets in self._sets():
            for value, places in sets.items():
                if places > below:
                    # Half of what is behind: each of these bits moves down by one.
                    sets[value] = places - ((places & behind) >> 1)
        self._remembered.clear()

    def split(self) -> tuple["Page", "Page"]:
        placed = [Placed(entry, door) for entry, door in zip(self.entries, self.doors.tolist(), strict=True)]
        pairs = list(zip(self.keys, placed, strict=True))
        half = len(pairs) // 2
        return Page(pairs[:half]), Page(pairs[half:])

    def _enter(self, entry: BookOffer, bit: int) -> None:
        offer = entry.offer
        self._zones[offer.zone] = self._zones.get(offer.zone, 0) | bit
        for trait in bits_of(offer.traits):
            self._traits[trait] = self._traits.get(trait, 0) | bit

    def _leave(self, entry: BookOffer, bit: int) -> None:
        offer = entry.offer
        _without_bit(self._zones, offer.zone, bit)
        for trait in bits_of(offer.traits):
            _without_bit(self._traits, trait, bit)

    def _sets(self) -> tuple[dict[int, int], dict[int, int]]:
        return self._zones, self._traits

    def _number_of(self, entry: BookOffer) -> int:
        if len(self._terms) > 2 * MOST_PLACES:
            # Terms that are here no more have numbers too; strangers could go on for ever.
            self._terms = {}
            self._terms_here = np.array([self._number_of(here) for here in self.entries], np.int64)
        return self._terms.setdefault(terms_of(entry.offer), len(self._terms))

    def _on_terms(self, needs: Needs) -> int:
        met = np.array([terms_meet(terms, needs.terms) for terms in self._terms], np.bool_)
        return self._remember(needs.terms, met[self._terms_here])

    def _with_lane(self, need: tuple[int, int]) -> int:
        lane, least = need
        return self._remember(need, self._lanes[:, lane] >= least)

    def _remember(self, need: Hashable, met: NDArray[np.bool_]) -> int:
        places = int.from_bytes(np.packbits(met, bitorder="little").tobytes(), "little")
        if len(self._remembered) >= _MOST_REMEMBERED:
            # Needs are what strangers write: they must not fill the memory.
            self._remembered.clear()
        self._remembered[need] = places
        return places


def _lanes(entries: Iterable[BookOffer]) -> NDArray[np.uint16]:
    packed = b"".join(entry.offer.quantities.to_bytes(32, "little") for entry in entries)
    return np.frombuffer(packed, "<u2").reshape(-1, 16)


def _with(column: NDArray[T], place: int, value: NDArray[T]) -> NDArray[T]:
    return np.concatenate((column[:place], value, column[place:]))


def _without(column: NDArray[T], place: int) -> NDArray[T]:
    return np.concatenate((column[:place], column[place + 1 :]))


def _without_bit(sets: dict[int, int], value: int, bit: int) -> None:
    left = sets[value] & ~bit
    if left:
        sets[value] = left
    else:
        del sets[value]


def _union(sets: dict[int, int], values: Iterable[int]) -> int:
    places = 0
    for value in values:
        places |= sets.get(value, 0)
    return places


def places_in(places: int) -> NDArray[np.int64]:
    """Numbers of the places, lowest first."""
    packed = np.frombuffer(places.to_bytes(places.bit_length() // 8 + 1, "little"), np.uint8)
    # As booleans they are searched several times as fast.
    return np.unpackbits(packed, bitorder="little").view(np.bool_).nonzero()[0]

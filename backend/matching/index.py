"""The book between auctions: offers in the rule's order, found by what an order needs. It decides nothing.

What it finds depends on the offers in it and on nothing else: not on the order in which they came, nor on its pages.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from backend.matching.book import BookOffer
from backend.matching.page import MOST_PLACES, Key, Page, Placed, key_of
from protocol.hashing import Address
from protocol.resources import has_guard_bits

MOST_SEATS: Final = 1024
"""Leases that one provider gets in one auction at most."""


@dataclass(slots=True)
class Provider:
    """A provider with the doors to its seats: an offer with room for n leases opens to the first n."""

    number: int
    #: room → number of the door
    doors: dict[int, int] = field(default_factory=dict)
    #: those that can open a lease
    offers: dict[bytes, BookOffer] = field(default_factory=dict)


class OfferIndex:
    """Offers, each under its digest; those that can open a lease are on pages."""

    def __init__(self, offers: Iterable[BookOffer] = ()) -> None:
        self._entries: dict[bytes, BookOffer] = {}
        self.providers: dict[Address, Provider] = {}
        #: number of the provider, by number of the door; what has a number keeps it
        self.owners: list[int] = []
        #: providers with more than one offer
        self.plural = 0
        placed = [(key_of(entry), self._admit(entry)) for entry in offers if self._note(entry)]
        placed.sort(key=itemgetter(0))
        # Half full, as pages are after they were split.
        size = MOST_PLACES // 2
        self.pages = [Page(placed[start : start + size]) for start in range(0, len(placed), size)] or [Page(())]
        #: the first key of each page but the first, when it was made
        self._bounds: list[Key] = [page.keys[0] for page in self.pages[1:]]

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: BookOffer) -> None:
        """A new offer, or what has changed about one."""
        if self._entries.get(entry.digest) == entry:
            return
        self.remove(entry.digest)
        if not self._note(entry):
            return
        key = key_of(entry)
        number = bisect_right(self._bounds, key)
        page = self.pages[number]
        page.insert(key, self._admit(entry))
        if len(page.keys) > MOST_PLACES:
            lower, upper = page.split()
            self.pages[number : number + 1] = [lower, upper]
            self._bounds.insert(number, upper.keys[0])

    def remove(self, digest: bytes) -> None:
        """Takes an offer out; one that is not here is no error."""
        entry = self._entries.pop(digest, None)
        if entry is None or not _can_open(entry):
            return
        offers = self.providers[entry.offer.provider].offers
        del offers[digest]
        self.plural -= len(offers) == 1
        key = key_of(entry)
        number = bisect_right(self._bounds, key)
        page = self.pages[number]
        page.remove(key)
        if not page.keys and len(self.pages) > 1:
            del self.pages[number]
            del self._bounds[max(0, number - 1)]

    def replace(self, offers: Iterable[BookOffer]) -> None:
        """Makes the index hold exactly these; only what has changed is moved."""
        wanted = {entry.digest: entry for entry in offers}
        for digest in self._entries.keys() - wanted.keys():
            self.remove(digest)
        for entry in wanted.values():
            self.put(entry)

    def door(self, entry: BookOffer) -> int:
        """Of an offer that can open a lease."""
        return self.providers[entry.offer.provider].doors[_room(entry)]

    def _note(self, entry: BookOffer) -> bool:
        self._entries[entry.digest] = entry
        return _can_open(entry)

    def _admit(self, entry: BookOffer) -> Placed:
        provider = self.providers.get(entry.offer.provider)
        if provider is None:
            provider = self.providers[entry.offer.provider] = Provider(len(self.providers))
        room = _room(entry)
        door = provider.doors.get(room)
        if door is None:
            door = provider.doors[room] = len(self.owners)
            self.owners.append(provider.number)
        provider.offers[entry.digest] = entry
        self.plural += len(provider.offers) == 2
        return Placed(entry, door)


def _room(entry: BookOffer) -> int:
    return min(entry.room, MOST_SEATS)


def _can_open(entry: BookOffer) -> bool:
    offer = entry.offer
    return entry.room > 0 and offer.rate > 0 and offer.meter <= 1 and not has_guard_bits(offer.quantities)

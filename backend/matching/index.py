"""The book between auctions: offers in the rule's order, found by what an order needs. It decides nothing.

What it finds depends on the offers in it and on nothing else: not on the order in which they came, nor on its pages.
"""

from bisect import bisect_left, bisect_right
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

_ONE_BY_ONE: Final = 20
"""To move one offer on a full page takes so many times what it takes among all of a new index (bench/matching)."""


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
        self._provider_numbers = _Numbers()
        self._door_numbers = _Numbers()
        placed = [(key_of(entry), self._admit(entry)) for entry in offers if self._note(entry)]
        placed.sort(key=itemgetter(0))
        # Half full, as pages are after they were split.
        size = MOST_PLACES // 2
        self.pages = [Page(placed[start : start + size]) for start in range(0, len(placed), size)] or [Page(())]
        #: the first key of each page but the first, when it was made
        self._bounds: list[Key] = [page.keys[0] for page in self.pages[1:]]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def doors(self) -> int:
        """All doors have lower numbers."""
        return self._door_numbers.bound

    def put(self, entry: BookOffer) -> None:
        """A new offer, or what has changed about one."""
        if self._entries.get(entry.digest) == entry:
            return
        self.remove(entry.digest)
        if not self._note(entry):
            return
        key = key_of(entry)
        number = self._page_of(key)
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
        self._dismiss(entry)
        key = key_of(entry)
        number = self._page_of(key)
        page = self.pages[number]
        page.remove(key)
        if not page.keys and len(self.pages) > 1:
            del self.pages[number]
            del self._bounds[max(0, number - 1)]

    def following(self, offers: Iterable[BookOffer]) -> "OfferIndex":
        """The index of exactly these: this one with what has changed, or a new one if that is less work."""
        wanted = {entry.digest: entry for entry in offers}
        gone = self._entries.keys() - wanted.keys()
        changed = [entry for digest, entry in wanted.items() if self._entries.get(digest) != entry]
        if _ONE_BY_ONE * (len(gone) + len(changed)) > len(wanted):
            return OfferIndex(wanted.values())
        for digest in gone:
            self.remove(digest)
        for entry in changed:
            self.put(entry)
        return self

    def place(self, entry: BookOffer) -> tuple[int, int]:
        """Page and place of an offer that can open a lease."""
        key = key_of(entry)
        number = self._page_of(key)
        return number, bisect_left(self.pages[number].keys, key)

    def _page_of(self, key: Key) -> int:
        return bisect_right(self._bounds, key)

    def _note(self, entry: BookOffer) -> bool:
        self._entries[entry.digest] = entry
        return _can_open(entry)

    def _admit(self, entry: BookOffer) -> Placed:
        provider = self.providers.get(entry.offer.provider)
        if provider is None:
            provider = self.providers[entry.offer.provider] = Provider(self._provider_numbers.take())
        room = room_of(entry)
        door = provider.doors.get(room)
        if door is None:
            door = provider.doors[room] = self._door_numbers.take()
        provider.offers[entry.digest] = entry
        return Placed(entry, door, provider.number)

    def _dismiss(self, entry: BookOffer) -> None:
        provider = self.providers[entry.offer.provider]
        del provider.offers[entry.digest]
        room = room_of(entry)
        if all(room_of(other) != room for other in provider.offers.values()):
            self._door_numbers.give_back(provider.doors.pop(room))
        if not provider.offers:
            self._provider_numbers.give_back(provider.number)
            del self.providers[entry.offer.provider]


def room_of(entry: BookOffer) -> int:
    """Leases that its provider gets by this offer at most, in one auction."""
    return min(entry.room, MOST_SEATS)


def _can_open(entry: BookOffer) -> bool:
    offer = entry.offer
    return entry.room > 0 and offer.rate > 0 and offer.meter <= 1 and not has_guard_bits(offer.quantities)


class _Numbers:
    """Low numbers for things that come and go."""

    __slots__ = ("_free", "bound")

    def __init__(self) -> None:
        self._free: list[int] = []
        #: all that were taken are lower
        self.bound = 0

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        self.bound += 1
        return self.bound - 1

    def give_back(self, number: int) -> None:
        self._free.append(number)

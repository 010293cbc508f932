"""The matching rule (SPEC "Matching rule"): a pure function of the book and of nothing else, in integers.

An auction of seats. A seat is one lease that a provider can open; each fill that an order wants is a bidder. The first
of those that wait takes the seat that saves its buyer most at what is asked for seats now, and by that raises what is
asked for this one; whoever sat there waits again. Nobody pays what is asked: it only decides who sits where, and the
price of each lease is its offer's rate. In the end no bidder could save its buyer more elsewhere than by its own step,
so what all buyers save together is within the sum of these steps of the most that is possible.
"""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from typing import Final

from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.columns import Needs, needs_of
from backend.matching.index import MOST_SEATS, OfferIndex, Provider
from backend.matching.reach import Choice, Reach, Seats, Walk, tried_again
from protocol.hashing import Address

STEPS: Final = 16
"""A bid goes this part of what the order can save at most over what would be enough."""
MOST_BIDS: Final = 32
"""Bids of one fill in one sitting."""
MOST_SITTINGS: Final = 3

_CLOSED: Final = 1 << 61
"""More than any order can save: asked at a door without a seat."""

Rank = tuple[int, int, bytes]


def match(offers: Iterable[BookOffer], orders: Sequence[BookOrder], min_notice: int) -> list[Pairing]:
    """The pairings of one auction, in an order in which the ledger accepts them; `min_notice` in seconds."""
    return decide(OfferIndex(offers), orders, min_notice)


def decide(index: OfferIndex, orders: Sequence[BookOrder], min_notice: int) -> list[Pairing]:
    """`match` over a book that is indexed already."""
    pairings: list[Pairing] = []
    taken: Counter[Address] = Counter()
    waiting = list(orders)
    with _uncollected():
        for _ in range(MOST_SITTINGS):
            sitting = _Sitting(index, taken, waiting, min_notice)
            sitting.hold()
            placed = sitting.placed()
            pairings += placed
            if not sitting.is_open():
                break
            taken.update(pairing.offer.offer.provider for pairing in placed)
            done = {pairing.order.digest for pairing in placed} | sitting.split()
            waiting = [order for order in waiting if order.digest not in done]
    return pairings


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: an auction makes many small objects that all live as long as it does."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Wish:
    """An order in a sitting: the offers within its reach, and its bidders."""

    __slots__ = ("bidders", "failed", "rank", "reaches", "step")

    def __init__(self, order: BookOrder, needs: Needs, seats: Seats, min_notice: int) -> None:
        self.reaches = [Reach(seats, order, Walk(seats.index, needs, order.order.max_rate))]
        if order.tried:
            # A retry goes elsewhere while there is an elsewhere.
            self.reaches.append(Reach(seats, order, None, tried_again(seats.index, order, min_notice)))
        self.reaches = [reach for reach in self.reaches if reach.saving is not None]
        saving = (self.reaches[0].saving if self.reaches else None) or 0
        self.rank: Rank = (-saving, order.arrived, order.digest)
        self.step = max(1, saving // STEPS)
        self.bidders = [_Bidder(self, order, fill) for fill in order.fills] if self.reaches else []
        self.failed = False


class _Bidder:
    """One fill of an order, and the seat that it has now."""

    __slots__ = ("bids", "fill", "order", "position", "seat", "wish")

    def __init__(self, wish: _Wish, order: BookOrder, fill: int) -> None:
        self.wish = wish
        self.order = order
        self.fill = fill
        self.bids = 0
        self.seat: BookOffer | None = None
        #: number of the seat among its provider's
        self.position = 0


class _Table:
    """The seats of one provider in a sitting, those first that were taken first."""

    __slots__ = ("holders", "prices", "provider", "taken")

    def __init__(self, provider: Provider, taken: int) -> None:
        self.provider = provider
        #: seats that earlier sittings gave away
        self.taken = taken
        #: what is asked for each seat that is taken, in pico-dollars, and who has it
        self.prices: list[int] = []
        self.holders: list[_Bidder] = []


class _Sitting:
    """Bids until nobody who waits can better anything."""

    def __init__(
        self, index: OfferIndex, taken: Counter[Address], orders: Sequence[BookOrder], min_notice: int
    ) -> None:
        self._index = index
        self._taken = taken
        self._seats = Seats(index)
        self._tables: dict[Address, _Table] = {}
        self._ran_out = False
        for provider in taken:
            self._reprice(self._lay(provider))
        needed = [(order, needs_of(order.order, min_notice)) for order in orders]
        self._wishes = [_Wish(order, needs, self._seats, min_notice) for order, needs in needed if needs is not None]

    def hold(self) -> None:
        queue = [(*wish.rank, bidder.fill, bidder) for wish in self._wishes for bidder in wish.bidders]
        heapify(queue)
        while queue:
            bidder = heappop(queue)[-1]
            if bidder.wish.failed:
                continue
            choice = self._choice(bidder)
            if choice is None or bidder.bids == MOST_BIDS:
                self._ran_out |= choice is not None
                bidder.wish.failed = True
                continue
            bidder.bids += 1
            left = self._sit(bidder, choice)
            if left is not None and not left.wish.failed:
                heappush(queue, (*left.wish.rank, left.fill, left))

    def placed(self) -> list[Pairing]:
        """Of the orders whose fills all have a seat."""
        seated = [bidder for wish in self._wishes if not wish.failed for bidder in wish.bidders]
        # A seat's number is how many of its provider's leases are opened before it, at most.
        seated.sort(key=lambda one: (one.position, one.order.arrived, one.order.digest, one.fill))
        return [
            Pairing(order=bidder.order, fill=bidder.fill, offer=bidder.seat)
            for bidder in seated
            if bidder.seat is not None
        ]

    def split(self) -> set[bytes]:
        """Orders of which some fills have a seat and some have not: they wait for another auction."""
        return {
            bidder.order.digest
            for wish in self._wishes
            if wish.failed
            for bidder in wish.bidders
            if bidder.seat is not None
        }

    def is_open(self) -> bool:
        """Whether another sitting could find more: seats come back, or a bidder ran out of bids."""
        return self._ran_out or bool(self.split())

    def _choice(self, bidder: _Bidder) -> Choice | None:
        bidders = bidder.wish.bidders
        beside = [other.seat for other in bidders if other.seat is not None] if len(bidders) > 1 else []
        for reach in bidder.wish.reaches:
            choice = reach.choose(beside)
            if choice is not None:
                return choice
        return None

    def _sit(self, bidder: _Bidder, choice: Choice) -> _Bidder | None:
        """Gives the bidder its seat; returns who has to leave it."""
        # Just over what makes its second choice as good, and never over what the seat saves it.
        rise = max(1, min(choice.best - choice.second + bidder.wish.step, choice.best))
        table = self._tables.get(choice.offer.offer.provider)
        if table is None:
            table = self._lay(choice.offer.offer.provider)
        room = min(choice.offer.room, MOST_SEATS) - table.taken
        left: _Bidder | None = None
        prices, position = table.prices, len(table.prices)
        if position < room:
            prices.append(rise)
            table.holders.append(bidder)
        else:
            position = prices.index(min(prices[:room])) if room > 1 else 0
            left = table.holders[position]
            left.seat = None
            prices[position] += rise
            table.holders[position] = bidder
        bidder.position = position
        bidder.seat = choice.offer
        self._reprice(table)
        return left

    def _lay(self, provider: Address) -> _Table:
        table = self._tables[provider] = _Table(self._index.providers[provider], self._taken[provider])
        return table

    def _reprice(self, table: _Table) -> None:
        """What is asked at each door of a provider: what its cheapest seat asks, 0 while one is free."""
        asked, prices = self._seats.asked, table.prices
        for whole, door in table.provider.doors.items():
            room = whole - table.taken
            if len(prices) >= room:
                asked[door] = _CLOSED if room <= 0 else prices[0] if room == 1 else min(prices[:room])

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
from heapq import heappop, heappush
from operator import attrgetter
from typing import Final

from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.index import MOST_SEATS, OfferIndex, Provider
from backend.matching.reach import Choice, Reach, Seats, reaches_of
from backend.matching.sheet import Sheet
from protocol.hashing import Address

STEPS: Final = 16
"""A bid goes this part of what the order can save at most over what would be enough."""
MOST_BIDS: Final = 32
"""Bids of one fill in one sitting."""
MOST_SITTINGS: Final = 3

_CLOSED: Final = 1 << 61
"""More than any order can save: asked at a door without a seat."""


def match(offers: Iterable[BookOffer], orders: Sequence[BookOrder], min_notice: int) -> list[Pairing]:
    """The pairings of one auction, in an order in which the ledger accepts them; `min_notice` in seconds."""
    return decide(OfferIndex(offers), orders, min_notice)


def decide(index: OfferIndex, orders: Sequence[BookOrder], min_notice: int) -> list[Pairing]:
    """`match` over a book that is indexed already."""
    with _uncollected():
        return _decide(index, orders, min_notice)


def _decide(index: OfferIndex, orders: Sequence[BookOrder], min_notice: int) -> list[Pairing]:
    sheet = Sheet(index)
    pairings: list[Pairing] = []
    taken: Counter[Address] = Counter()
    waiting = list(orders)
    for _ in range(MOST_SITTINGS):
        sitting = _Sitting(sheet, taken, waiting, min_notice)
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
    """An order in a sitting: the offers within its reach, and the seats that its fills have."""

    __slots__ = ("failed", "order", "reaches", "saving", "seats", "step")

    def __init__(self, order: BookOrder, reaches: list[Reach]) -> None:
        self.order = order
        self.reaches = reaches
        self.saving = reaches[0].saving
        self.step = max(1, self.saving // STEPS)
        #: fill → offer
        self.seats: dict[int, BookOffer] = {}
        self.failed = False

    @property
    def rank(self) -> tuple[int, int, bytes]:
        """The lower is served first."""
        return -self.saving, self.order.arrived, self.order.digest


class _Bidder:
    """One fill of an order."""

    __slots__ = ("bids", "fill", "number", "position", "wish")

    def __init__(self, wish: _Wish, fill: int, number: int) -> None:
        self.wish = wish
        self.fill = fill
        #: in the order in which they are served
        self.number = number
        self.bids = 0
        #: number of its seat among its provider's
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

    def __init__(self, sheet: Sheet, taken: Counter[Address], orders: Sequence[BookOrder], min_notice: int) -> None:
        self._index = sheet.index
        self._taken = taken
        self._seats = Seats(sheet)
        self._tables: dict[Address, _Table] = {}
        self._ran_out = False
        for provider in taken:
            self._reprice(self._lay(provider))
        reached = ((order, reaches_of(self._seats, order, min_notice)) for order in orders)
        wishes = [_Wish(order, reaches) for order, reaches in reached if reaches]
        wishes.sort(key=attrgetter("rank"))
        self._wishes = wishes
        fills = ((wish, fill) for wish in wishes for fill in sorted(wish.order.fills))
        self._bidders = [_Bidder(wish, fill, number) for number, (wish, fill) in enumerate(fills)]

    def hold(self) -> None:
        bidders = self._bidders
        waiting = list(range(len(bidders)))
        while waiting:
            bidder = bidders[heappop(waiting)]
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
                heappush(waiting, left.number)

    def placed(self) -> list[Pairing]:
        """Of the orders whose fills all have a seat."""
        seated = [bidder for bidder in self._bidders if not bidder.wish.failed]
        # A seat's number is how many of its provider's leases are opened before it, at most.
        seated.sort(key=lambda one: (one.position, one.wish.order.arrived, one.wish.order.digest, one.fill))
        return [
            Pairing(order=bidder.wish.order, fill=bidder.fill, offer=bidder.wish.seats[bidder.fill])
            for bidder in seated
        ]

    def split(self) -> set[bytes]:
        """Orders of which some fills have a seat and some have not: they wait for another auction."""
        return {wish.order.digest for wish in self._wishes if wish.failed and wish.seats}

    def is_open(self) -> bool:
        """Whether another sitting could find more: seats come back, or a bidder ran out of bids."""
        return self._ran_out or bool(self.split())

    def _choice(self, bidder: _Bidder) -> Choice | None:
        # Who waits has no seat: these are its siblings'.
        beside = bidder.wish.seats.values()
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
            del left.wish.seats[left.fill]
            prices[position] += rise
            table.holders[position] = bidder
        bidder.position = position
        bidder.wish.seats[bidder.fill] = choice.offer
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

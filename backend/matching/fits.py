"""Which offers of the book fit which orders: for many orders at once, page by page, in the rule's order.

Each order's needs are numbers of rows of a table that is made for each page: who meets them all is one operation over
the rows of many orders. What is found holds until the index changes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.matching.columns import Need, Needs
from backend.matching.index import OfferIndex
from backend.matching.page import Numbers, Page, Words, clear_before, first_places

_COMPANY: Final = 1024
"""Orders that walk together: what they need of a page is laid out once."""
_BATCH: Final = 128
"""Of them, orders whose rows of one page stay in the processor's cache."""
_EVERYONE: Final = 0
_NOBODY: Final = 1


class Fits(NamedTuple):
    """Offers that fit an order, in the rule's order, by their spots in the index."""

    spots: Numbers
    doors: Numbers
    owners: Numbers
    #: what each saves, in pico-dollars
    savings: Numbers


_NONE: Final = np.empty(0, np.int64)
NO_FITS: Final = Fits(_NONE, _NONE, _NONE, _NONE)


class Walk:
    """An order's way through the book, cheapest offers first."""

    __slots__ = ("is_free", "max_rate", "most", "needs", "page", "place", "units")

    def __init__(self, needs: Needs, max_rate: int, units: int, most: int) -> None:
        self.needs = needs
        #: pico-dollars per metered unit
        self.max_rate = max_rate
        #: metered units that it counts for
        self.units = units
        #: fits to be found in one go, and whether only those with a free seat
        self.most, self.is_free = most, False
        #: where it goes on: page and place
        self.page = self.place = 0


def walk_on(index: OfferIndex, asked: Numbers, walks: Sequence[Walk], least: int) -> list[Fits]:
    """The next fits of each, up to the page that brings it `least` with a free seat; fewer only where its walk ends.

    `asked`: pico-dollars by door, 0 where a seat is free.
    """
    found: list[Fits] = []
    for start in range(0, len(walks), _COMPANY):
        found += _walk_on(index, asked, walks[start : start + _COMPANY], least)
    return found


def _walk_on(index: OfferIndex, asked: Numbers, walks: Sequence[Walk], least: int) -> list[Fits]:
    clauses = _Clauses([walk.needs for walk in walks])
    columns = zip(*[(walk.max_rate, walk.units, walk.most, walk.page) for walk in walks], strict=True)
    max_rates, units, most, pages = (np.array(column, np.int64) for column in columns)
    free = np.zeros(len(walks), np.int64)
    found: list[tuple[Numbers, ...]] = []
    for number in range(int(pages.min()), len(index.pages)):
        page = index.pages[number]
        here = ((pages == number) & (max_rates >= page.lowest_rate)).nonzero()[0]
        if not len(here):
            continue
        table = clauses.table(page)
        for start in range(0, len(here), _BATCH):
            some = here[start : start + _BATCH]
            rows = clauses.fitting(table, some)
            _leave_out(rows, [walks[order] for order in some.tolist()], number, page, asked)
            at, places = first_places(rows, most[some])
            orders, rates = some[at], page.rates[places]
            # What costs too much is behind all that does not.
            kept = rates <= max_rates[orders]
            orders, rates, places = orders[kept], rates[kept], places[kept]
            doors = page.doors[places]
            free += np.bincount(orders[asked[doors] == 0], minlength=len(walks))
            most -= np.bincount(orders, minlength=len(walks))
            savings = (max_rates[orders] - rates) * units[orders]
            found.append((orders, index.spots(number, places), doors, page.owners[places], savings))
        pages[here] += (free[here] < least) & (most[here] > 0)
    return _shared_out(index, found, walks, pages.tolist(), most.tolist())


def _leave_out(rows: Words, walks: list[Walk], number: int, page: Page, asked: Numbers) -> None:
    """What a walk has behind it, and where it matters those without a free seat."""
    free: Words | None = None
    for at, walk in enumerate(walks):
        if walk.place and walk.page == number:
            clear_before(rows[at], walk.place)
        if walk.is_free:
            free = page.row(asked[page.doors] == 0) if free is None else free
            rows[at] &= free


def _shared_out(
    index: OfferIndex, found: list[tuple[Numbers, ...]], walks: Sequence[Walk], pages: list[int], left: list[int]
) -> list[Fits]:
    """What was found, by order; sets where each goes on."""
    if not found:
        return [NO_FITS] * len(walks)
    orders, *columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
    by_order = orders.argsort(kind="stable")
    columns = [column[by_order] for column in columns]
    ends = np.bincount(orders, minlength=len(walks)).cumsum().tolist()
    fits, start = [], 0
    for walk, page, more, end in zip(walks, pages, left, ends, strict=True):
        fits.append(Fits(*[column[start:end] for column in columns]) if start < end else NO_FITS)
        start = end
        if more:
            walk.page, walk.place = page + 1, 0
        else:
            walk.page, walk.place = page, index.page_and_place(int(fits[-1].spots[-1]))[1] + 1
    return fits


class _Clauses:
    """The needs of some orders, as numbers of rows."""

    def __init__(self, needs: Sequence[Needs]) -> None:
        self._numbers: dict[Need, int] = {}
        self._every = self._matrix([one.every for one in needs], _EVERYONE)
        self._zones = self._matrix([one.zones for one in needs], _NOBODY)
        self._needs = list(self._numbers)

    def table(self, page: Page) -> Words:
        """Who meets each need: the rows that have these numbers."""
        width = page.width
        whole, none = np.full(width, -1, np.int64).view(np.uint64), np.zeros(width, np.uint64)
        return np.concatenate((whole, none, *page.rows(self._needs))).reshape(-1, width)

    def fitting(self, table: Words, orders: Numbers) -> Words:
        """Who meets all needs of these orders: a row for each."""
        fitting: Words = np.bitwise_and.reduce(table[self._every[orders]], axis=1)
        fitting &= np.bitwise_or.reduce(table[self._zones[orders]], axis=1)
        return fitting

    def _matrix(self, wanted: Sequence[tuple[Need, ...] | None], filling: int) -> NDArray[np.intp]:
        """A line of row numbers for each order, filled up to the longest."""
        known = self._numbers
        lines = [
            [_EVERYONE] if needs is None else [known.setdefault(need, len(known)) + 2 for need in needs]
            for needs in wanted
        ]
        width = max(map(len, lines))
        return np.array([line + [filling] * (width - len(line)) for line in lines], np.intp)

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

    __slots__ = ("is_free", "is_over", "max_rate", "most", "needs", "page", "place", "units")

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
        #: there is nothing more
        self.is_over = False


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
    columns = zip(
        *[(one.max_rate, one.units, one.most, one.page, one.is_free or one.place) for one in walks], strict=True
    )
    max_rates, units, most, pages, is_partial = (np.array(column, np.int64) for column in columns)
    missing = np.full(len(walks), least)
    found: list[tuple[Numbers, ...]] = []
    for number in range(int(pages.min()), len(index.pages)):
        page = index.pages[number]
        here = ((pages == number) & (missing > 0) & (max_rates >= page.lowest_rate)).nonzero()[0]
        if not len(here):
            continue
        table = clauses.table(page)
        for start in range(0, len(here), _BATCH):
            some = here[start : start + _BATCH]
            rows = clauses.fitting(table, some)
            if is_partial[some].any():
                _leave_out(rows, [walks[order] for order in some.tolist()], number, page, asked)
            at, places = first_places(rows, most[some])
            rates = page.rates[places]
            # What costs too much is behind all that does not.
            kept = rates <= max_rates[some][at]
            at, places, rates = at[kept], places[kept], rates[kept]
            orders, doors = some[at], page.doors[places]
            missing[some] -= np.bincount(at[asked[doors] == 0], minlength=len(some))
            most[some] -= np.bincount(at, minlength=len(some))
            savings = (max_rates[orders] - rates) * units[orders]
            found.append((orders, index.spots(number, places), doors, page.owners[places], savings))
        pages[here] += most[here] > 0
    return _shared_out(index, found, walks, pages.tolist(), most.tolist())


def _leave_out(rows: Words, walks: list[Walk], number: int, page: Page, asked: Numbers) -> None:
    """What a walk has behind it, and where it matters those without a free seat."""
    free = page.row(asked[page.doors] == 0)
    for at, walk in enumerate(walks):
        if walk.place and walk.page == number:
            clear_before(rows[at], walk.place)
        if walk.is_free:
            rows[at] &= free


def _shared_out(
    index: OfferIndex, found: list[tuple[Numbers, ...]], walks: Sequence[Walk], pages: list[int], left: list[int]
) -> list[Fits]:
    """What was found, by order; sets where each goes on."""
    lowest_rates = [page.lowest_rate for page in index.pages]
    fits = [NO_FITS] * len(walks)
    if found:
        orders, *columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        by_order = orders.argsort(kind="stable")
        spots, doors, owners, savings = (column[by_order] for column in columns)
        ends = np.bincount(orders, minlength=len(walks)).cumsum().tolist()
        fits = [
            Fits(spots[start:end], doors[start:end], owners[start:end], savings[start:end])
            for start, end in zip([0, *ends], ends, strict=False)
        ]
    for walk, one, page, more in zip(walks, fits, pages, left, strict=True):
        walk.page = page
        walk.place = 0 if more else index.page_and_place(int(one.spots[-1]))[1] + 1
        walk.is_over = page == len(lowest_rates) or lowest_rates[page] > walk.max_rate
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

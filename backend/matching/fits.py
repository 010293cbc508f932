"""Which offers of the book fit an order: cheapest first, and no farther than it has to look."""

from typing import Final

import numpy as np

from backend.matching.columns import Needs
from backend.matching.kernel import FIT_FIELDS, Numbers, find
from backend.matching.sheet import Sheet

MOST_AHEAD: Final = 48
"""Free offers that are found in one go: others take some before the order bids again."""


class Walk:
    """An order's way through the book."""

    __slots__ = ("_edition", "_every", "_needs", "_place", "_rows", "_sheet", "_weighed", "max_rate", "units")

    def __init__(self, sheet: Sheet, needs: Needs, max_rate: int, units: int, weighed: int) -> None:
        self._sheet = sheet
        self._needs = needs.every + needs.zones
        self._every = len(needs.every)
        #: pico-dollars per metered unit
        self.max_rate = max_rate
        #: metered units that it counts for
        self.units = units
        #: fits that count with and without a free seat; of those behind them only the free ones do
        self._weighed = weighed
        self._place = 0
        self._number()

    def _number(self) -> None:
        self._rows = self._sheet.rows(self._needs)
        self._edition = self._sheet.edition

    @property
    def is_over(self) -> bool:
        """There is nothing more."""
        return self._place == self._sheet.end

    def go_on(self, asked: Numbers) -> Numbers:
        """The next fits, a row for each, up to the last of `MOST_AHEAD` with a free seat; fewer only at the end.

        `asked`: pico-dollars by door, 0 where a seat is free.
        """
        sheet = self._sheet
        if self._edition != sheet.edition:
            self._number()
        found = np.empty((self._weighed + MOST_AHEAD, FIT_FIELDS), np.int64)
        count, free, unmade = 0, MOST_AHEAD, 0
        while unmade >= 0:
            count, free, self._place, unmade = find(
                sheet.table, sheet.made, sheet.words, self._rows, self._every, sheet.marks, asked, self._place,
                self.max_rate, self.units, self._weighed - count, free, found, count,
            )  # fmt: skip
            if unmade >= 0:
                sheet.make(unmade, self._needs)
        self._weighed = max(0, self._weighed - count)
        return found[:count].copy()

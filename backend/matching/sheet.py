"""The book as an auction searches it: its pages side by side, and a table of who of them meets which need.

A set of places is a row of 64-bit words, bit n for place n; each page begins with a word of its own. A need is a row,
and a page's part of it is made when the first order gets there.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from backend.matching.book import BookOffer
from backend.matching.columns import Need
from backend.matching.index import OfferIndex
from backend.matching.kernel import MARKS, Numbers, Words

MOST_ROWS: Final = 1024
"""Needs are what strangers write: they must not fill the memory. More than any one order has."""
_WORD: Final = 64


class Sheet:
    """Of an index that does not change meanwhile."""

    __slots__ = ("_rows", "_starts", "edition", "index", "made", "marks", "table", "words")

    def __init__(self, index: OfferIndex) -> None:
        self.index = index
        pages = index.pages
        widths = [len(page.keys) // _WORD + 1 for page in pages]
        #: first word of each page, and behind the last
        self.words = np.fromiter(accumulate(widths, initial=0), np.int64)
        #: first place of each page
        self._starts: list[int] = (self.words[:-1] * _WORD).tolist()
        self.marks = np.zeros((MARKS, int(self.words[-1]) * _WORD), np.int64)
        for start, page in zip(self._starts, pages, strict=True):
            self.marks[:, start : start + len(page.keys)] = page.marks
        #: by need and word: who meets it
        self.table: Words = np.zeros((MOST_ROWS, int(self.words[-1])), np.uint64)
        #: by page and need: whether that part of the table was made
        self.made = np.zeros((len(pages), MOST_ROWS), np.bool_)
        self._rows: dict[Need, int] = {}
        #: numbers of rows hold for one edition
        self.edition = 0

    @property
    def end(self) -> int:
        """Behind all places."""
        return self.marks.shape[1]

    def rows(self, needs: Sequence[Need]) -> Numbers:
        """Numbers of the needs' rows in this edition."""
        rows = list(map(self._rows.get, needs))
        if None in rows:
            if len(self._rows) + len(needs) > MOST_ROWS:
                self._begin_edition()
            rows = [self._rows.setdefault(need, len(self._rows)) for need in needs]
        return np.array(rows, np.int64)

    def _begin_edition(self) -> None:
        self._rows.clear()
        self.made[:] = False
        self.edition += 1

    def make(self, number: int, needs: Sequence[Need]) -> None:
        """The part of these needs' rows that a page has."""
        page, made = self.index.pages[number], self.made[number]
        for need in needs:
            row = self._rows[need]
            if not made[row]:
                met = np.packbits(page.meet(need), bitorder="little")
                self.table[row, self.words[number] :].view(np.uint8)[: len(met)] = met
                made[row] = True

    def entry(self, spot: int) -> BookOffer:
        """The offer at a place."""
        number = bisect_right(self._starts, spot) - 1
        return self.index.pages[number].entries[spot - self._starts[number]]

    def spot(self, entry: BookOffer) -> int:
        """The place of an offer that can open a lease."""
        number, place = self.index.place(entry)
        return self._starts[number] + place

"""A page of the book: some thousand offers in the rule's order, and who of them has which lane, trait, zone and terms.

A set of places is a row of 64-bit words, bit n for place n. The offers that fit an order are an intersection of such
rows. A row is made of the page's columns when the first order asks for it, and kept until the page changes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.matching.book import BookOffer
from backend.matching.columns import (
    ALL_OF,
    ANY_OF,
    LANES,
    NO_ZONE,
    NONE_OF,
    ZONE,
    Need,
    Terms,
    terms_meet,
    terms_of,
)

MOST_PLACES: Final = 16384
"""A fuller page is split: a change moves the places behind it, in each column of its page."""
_MOST_REMEMBERED: Final = 1024
_WORD: Final = 64

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Met = NDArray[np.bool_]
Key = tuple[int, int, bytes]
"""The rule's order of offers: rate, leases that the provider serves, digest."""


def key_of(entry: BookOffer) -> Key:
    return entry.offer.rate, entry.open_leases, entry.digest


class Placed(NamedTuple):
    """An offer with the numbers of its provider and of the door that it opens (index.py)."""

    entry: BookOffer
    door: int
    owner: int


class _Columns(NamedTuple):
    """What is compared, by place: the last axis of each."""

    #: pico-dollars per metered unit
    rates: Numbers
    doors: Numbers
    owners: Numbers
    zones: NDArray[np.uint8]
    #: numbers of the terms
    terms: Numbers
    #: 16 rows
    lanes: NDArray[np.uint16]
    #: 32 rows, a bit for each trait
    traits: NDArray[np.uint8]


class Page:
    """Offers in the order of their keys."""

    __slots__ = ("_columns", "_rows", "_terms", "entries", "keys")

    def __init__(self, offers: Sequence[tuple[Key, Placed]]) -> None:
        self.keys = [key for key, _ in offers]
        self.entries = [placed.entry for _, placed in offers]
        #: terms that offers here have or had, with their numbers
        self._terms: dict[Terms, int] = {}
        self._columns = self._read([placed for _, placed in offers])
        #: need → who meets it
        self._rows: dict[Need, Words] = {}

    @property
    def rates(self) -> Numbers:
        """Pico-dollars per metered unit, by place."""
        return self._columns.rates

    @property
    def lowest_rate(self) -> int:
        """More than any order pays if there is nothing."""
        return self.keys[0][0] if self.keys else 1 << 32

    @property
    def doors(self) -> Numbers:
        return self._columns.doors

    @property
    def owners(self) -> Numbers:
        """Number of the provider, by place."""
        return self._columns.owners

    def rows(self, needs: Iterable[Need]) -> list[Words]:
        """Who meets each need."""
        rows = self._rows
        return [row if (row := rows.get(need)) is not None else self._remember(need) for need in needs]

    @property
    def width(self) -> int:
        """Words of a row."""
        return len(self.keys) // _WORD + 1

    def row(self, met: Met) -> Words:
        """The places where it holds."""
        bits = np.packbits(met, bitorder="little")
        padded = np.zeros(8 * self.width, np.uint8)
        padded[: len(bits)] = bits
        return padded.view(np.uint64)

    def insert(self, key: Key, placed: Placed) -> None:
        if len(self._terms) > 2 * MOST_PLACES:
            # Terms that are here no more have numbers too; strangers could go on for ever.
            self._terms = {}
            self._columns = self._columns._replace(terms=self._terms_of(self.entries))
        new: tuple[NDArray[Any], ...] = self._read([placed])
        place = bisect_left(self.keys, key)
        self.keys.insert(place, key)
        self.entries.insert(place, placed.entry)
        old: tuple[NDArray[Any], ...] = self._columns
        self._columns = _Columns(*[_with(column, value, place) for column, value in zip(old, new, strict=True)])
        self._rows.clear()

    def remove(self, key: Key) -> None:
        place = bisect_left(self.keys, key)
        del self.keys[place], self.entries[place]
        self._columns = _Columns(*[_without(column, place) for column in self._columns])
        self._rows.clear()

    def split(self) -> tuple["Page", "Page"]:
        doors, owners = self.doors.tolist(), self.owners.tolist()
        placed = [Placed(*one) for one in zip(self.entries, doors, owners, strict=True)]
        pairs = list(zip(self.keys, placed, strict=True))
        half = len(pairs) // 2
        return Page(pairs[:half]), Page(pairs[half:])

    def _read(self, offers: Sequence[Placed]) -> _Columns:
        entries = [placed.entry for placed in offers]
        terms = [entry.offer for entry in entries]
        return _Columns(
            rates=_numbers(one.rate for one in terms),
            doors=_numbers(placed.door for placed in offers),
            owners=_numbers(placed.owner for placed in offers),
            zones=np.array([one.zone for one in terms], np.uint8),
            terms=self._terms_of(entries),
            lanes=_turned(b"".join([one.quantities.to_bytes(32, "little") for one in terms]), "<u2"),
            traits=_turned(b"".join([one.traits.to_bytes(32, "little") for one in terms]), "u1"),
        )

    def _terms_of(self, entries: Iterable[BookOffer]) -> Numbers:
        known = self._terms
        return _numbers(known.setdefault(terms_of(entry.offer), len(known)) for entry in entries)

    def _remember(self, need: Need) -> Words:
        if len(self._rows) >= _MOST_REMEMBERED:
            # Needs are what strangers write: they must not fill the memory.
            self._rows.clear()
        row = self._rows[need] = self.row(self._meet(need))
        return row

    def _meet(self, need: Need) -> Met:
        columns = self._columns
        column, value = need
        met: Met
        if isinstance(value, tuple):
            met = np.array([terms_meet(terms, value) for terms in self._terms], np.bool_)[columns.terms]
        elif column < LANES:
            met = columns.lanes[column] >= value
        elif column in (ALL_OF, ANY_OF, NONE_OF):
            met = self._meet_traits(column, value)
        elif column == ZONE:
            met = columns.zones == value
        else:
            met = columns.zones != value if column == NO_ZONE else columns.owners != value
        return met

    def _meet_traits(self, column: int, traits: int) -> Met:
        met = np.full(len(self.keys), column != ANY_OF)
        for eight, wanted in zip(self._columns.traits, traits.to_bytes(32, "little"), strict=True):
            if wanted and column == ALL_OF:
                met &= eight & wanted == wanted
            elif wanted and column == ANY_OF:
                met |= eight & wanted != 0
            elif wanted:
                met &= eight & wanted == 0
        return met


def _with(column: NDArray[Any], value: NDArray[Any], place: int) -> NDArray[Any]:
    return np.concatenate((column[..., :place], value, column[..., place:]), axis=-1)


def _without(column: NDArray[Any], place: int) -> NDArray[Any]:
    return np.concatenate((column[..., :place], column[..., place + 1 :]), axis=-1)


def _numbers(values: Iterable[int]) -> Numbers:
    return np.fromiter(values, np.int64)


def _turned(packed: bytes, kind: str) -> NDArray[Any]:
    """32 bytes of each place, as columns one after the other."""
    values = np.frombuffer(packed, kind)
    return np.ascontiguousarray(values.reshape(-1, 32 // values.itemsize).T)


class Places(NamedTuple):
    """Places of a page that are set in some rows: by row, and then lowest first."""

    #: number of the row
    rows: Numbers
    places: Numbers


def first_places(rows: Words, most: Numbers) -> Places:
    """Of row n the first `most`[n] that are set."""
    number, word = (rows != 0).nonzero()
    words = rows[number, word]
    counts = np.bitwise_count(words).astype(np.int64)
    # Words behind as many as are wanted need no search.
    kept = _before(counts, number, len(rows)) < most[number]
    number, word, words = number[kept], word[kept], words[kept]
    # As booleans they are searched several times as fast.
    found = np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_).nonzero()[0]
    which = found // _WORD
    number, places = number[which], word[which] * _WORD + found % _WORD
    kept = _before(np.ones_like(number), number, len(rows)) < most[number]
    return Places(number[kept], places[kept])


def _before(counts: Numbers, number: Numbers, rows: int) -> Numbers:
    """Sum of the counts before each in its own row."""
    before = np.zeros(len(counts) + 1, np.int64)
    counts.cumsum(out=before[1:])
    starts = number.searchsorted(np.arange(rows))
    return before[:-1] - before[starts][number]


def clear_before(row: Words, place: int) -> None:
    """Takes the places before this one out of a row."""
    word, bit = divmod(place, _WORD)
    row[:word] = 0
    row[word] &= np.uint64((1 << _WORD) - (1 << bit))

"""A page of the book: some thousand offers in the rule's order, and who of them has which lane, trait, zone and terms.

It keeps columns: who meets a need is one comparison of a column.
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
from backend.matching.kernel import DOORS, OWNERS, ZONES, Numbers

MOST_PLACES: Final = 16384
"""A fuller page is split: a change moves the places behind it, in each column of its page."""

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

    #: 4 rows (kernel.py)
    marks: Numbers
    #: numbers of the terms
    terms: Numbers
    #: 16 rows
    lanes: NDArray[np.uint16]
    #: 32 rows, a bit for each trait
    traits: NDArray[np.uint8]


class Page:
    """Offers in the order of their keys."""

    __slots__ = ("_columns", "_terms", "entries", "keys")

    def __init__(self, offers: Sequence[tuple[Key, Placed]]) -> None:
        self.keys = [key for key, _ in offers]
        self.entries = [placed.entry for _, placed in offers]
        #: terms that offers here have or had, with their numbers
        self._terms: dict[Terms, int] = {}
        self._columns = self._read([placed for _, placed in offers])

    @property
    def marks(self) -> Numbers:
        """Rate, door, owner and zone, by place (kernel.py)."""
        return self._columns.marks

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

    def remove(self, key: Key) -> None:
        place = bisect_left(self.keys, key)
        del self.keys[place], self.entries[place]
        self._columns = _Columns(*[_without(column, place) for column in self._columns])

    def split(self) -> tuple["Page", "Page"]:
        doors, owners = self.marks[DOORS].tolist(), self.marks[OWNERS].tolist()
        placed = [Placed(*one) for one in zip(self.entries, doors, owners, strict=True)]
        pairs = list(zip(self.keys, placed, strict=True))
        half = len(pairs) // 2
        return Page(pairs[:half]), Page(pairs[half:])

    def _read(self, offers: Sequence[Placed]) -> _Columns:
        entries = [placed.entry for placed in offers]
        terms = [entry.offer for entry in entries]
        return _Columns(
            marks=np.array(
                (
                    [one.rate for one in terms],
                    [placed.door for placed in offers],
                    [placed.owner for placed in offers],
                    [one.zone for one in terms],
                ),
                np.int64,
            ),
            terms=self._terms_of(entries),
            lanes=_turned(b"".join([one.quantities.to_bytes(32, "little") for one in terms]), "<u2"),
            traits=_turned(b"".join([one.traits.to_bytes(32, "little") for one in terms]), "u1"),
        )

    def _terms_of(self, entries: Iterable[BookOffer]) -> Numbers:
        known = self._terms
        return _numbers(known.setdefault(terms_of(entry.offer), len(known)) for entry in entries)

    def meet(self, need: Need) -> Met:
        """By place: who meets it."""
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
            met = columns.marks[ZONES] == value
        else:
            met = columns.marks[ZONES if column == NO_ZONE else OWNERS] != value
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

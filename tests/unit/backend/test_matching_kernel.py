"""The compiled loops of the matching rule against plain readings of what they promise."""

import importlib.util
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import caching

from backend.matching import kernel
from backend.matching.kernel import DOOR, DOORS, FIT_FIELDS, MARKS, OWNER, RATES, SAVING, SPOT, Numbers, choose, find

CLOSED = 1 << 61
NO_NUMBERS = np.empty(0, np.int64)
NEEDS = 6


class Book(NamedTuple):
    """Pages of places, each with its rate, door and who of the needs it meets."""

    words: list[int]
    #: by place; None where a page has none
    places: Sequence[tuple[int, int, frozenset[int]] | None]
    #: by door
    asked: list[int]

    def found(
        self, needs: list[int], every: int, place: int, max_rate: int, weighed: int, free: int
    ) -> list[tuple[int, int, int]]:
        """(place, door, saving by one unit), as `find` promises it."""
        fits = []
        for number, entry in enumerate(self.places):
            if number < place or entry is None or free == 0:
                continue
            rate, door, met = entry
            any_of = set(needs[every:])
            if rate > max_rate or not set(needs[:every]) <= met or (any_of and not any_of & met):
                continue
            if weighed > 0 or self.asked[door] == 0:
                fits.append((number, door, max_rate - rate))
                weighed -= 1
                free -= self.asked[door] == 0
        return fits


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Pages about the size of one to three words, so that ends of pages and of words meet and miss each other."""
    sizes = draw(st.lists(st.sampled_from((1, 2, 63, 64, 65, 127, 128, 130)), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from((0.2, 0.7, 1)))
    words, places, rate = [0], list[tuple[int, int, frozenset[int]] | None](), 1
    for size in sizes:
        for _ in range(size):
            rate += int(rng.integers(0, 2))
            places.append((rate, int(rng.integers(0, 8)), frozenset(np.flatnonzero(rng.random(NEEDS) < density))))
        words.append(words[-1] + size // 64 + 1)
        places += [None] * (64 * words[-1] - len(places))
    asked = [0, 0, 0, 0, 1, 5, 10**6, CLOSED]
    return Book(words, places, [asked[number] for number in rng.permutation(8)])


def _arrays(book: Book) -> tuple[kernel.Words, Numbers, Numbers]:
    """Table, marks and what is asked."""
    table = np.zeros((NEEDS, book.words[-1]), np.uint64)
    marks = np.zeros((MARKS, len(book.places)), np.int64)
    for number, entry in enumerate(book.places):
        if entry is not None:
            marks[RATES, number], marks[DOORS, number] = entry[:2]
            for need in entry[2]:
                table[need, number // 64] |= np.uint64(1 << number % 64)
    return table, marks, np.array(book.asked, np.int64)


class TestFind:
    @settings(max_examples=300, deadline=None)
    @given(books(), st.data())
    def test_it_writes_what_a_plain_reading_finds(self, book: Book, data: st.DataObject) -> None:
        table, marks, asked = _arrays(book)
        needs = data.draw(st.lists(st.integers(0, NEEDS - 1), min_size=1, max_size=5))
        every = data.draw(st.integers(1, len(needs)))
        place = data.draw(st.integers(0, len(book.places)))
        max_rate = data.draw(st.integers(0, 200))
        weighed, free = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 40))
        found = np.zeros((weighed + free, FIT_FIELDS), np.int64)
        count, missing, after, unmade = find(
            table, np.ones((len(book.words) - 1, NEEDS), np.bool_), np.array(book.words), np.array(needs), every,
            marks, asked, place, max_rate, 7, weighed, free, found, 0,
        )  # fmt: skip
        expected = book.found(needs, every, place, max_rate, weighed, free)
        assert found[:count][:, [SPOT, DOOR, SAVING]].tolist() == [[spot, door, 7 * by] for spot, door, by in expected]
        assert missing == free - sum(book.asked[door] == 0 for _, door, _ in expected)
        assert unmade == -1
        # Where it goes on there is all the rest.
        assert after == (len(book.places) if missing else expected[-1][0] + 1)

    def test_it_asks_for_the_rows_of_a_page_where_they_are_not_made_and_goes_on_there(self) -> None:
        book = Book([0, 1, 2, 3], [(1, 0, frozenset({0, 1}))] * 192, [5])
        table, marks, asked = _arrays(book)
        made = np.array([[True] * NEEDS, [True, False] + [True] * 4, [True] * NEEDS])
        found = np.zeros((300, FIT_FIELDS), np.int64)
        arrays = (table, made, np.array(book.words), np.array([0, 1]), 2, marks, asked)
        count, free, place, unmade = find(*arrays, 3, 9, 1, 200, 100, found, 0)
        assert (count, free, place, unmade) == (61, 100, 64, 1)
        made[1, 1] = True
        assert find(*arrays, place, 9, 1, 200 - count, free, found, count) == (189, 100, 192, -1)
        assert found[:189, SPOT].tolist() == list(range(3, 192))

    def test_nothing_is_asked_of_a_page_that_is_too_dear(self) -> None:
        book = Book([0, 1, 2], [(1, 0, frozenset({0}))] * 64 + [(9, 0, frozenset({0}))] * 64, [0])
        table, marks, asked = _arrays(book)
        made = np.array([[True] * NEEDS, [False] * NEEDS])
        found = np.zeros((100, FIT_FIELDS), np.int64)
        arrays = (table, made, np.array(book.words), np.array([0]), 1, marks, asked)
        assert find(*arrays, 0, 8, 1, 0, 100, found, 0) == (64, 36, 128, -1)

    def test_savings_up_to_the_most_that_counts_are_exact(self) -> None:
        book = Book([0, 1], [(1, 0, frozenset({0}))] * 64, [0])
        table, marks, asked = _arrays(book)
        found = np.zeros((1, FIT_FIELDS), np.int64)
        arrays = (table, np.ones((1, NEEDS), np.bool_), np.array(book.words), np.array([0]), 1, marks, asked)
        find(*arrays, 63, 2**32, 2**28 - 1, 0, 1, found, 0)
        assert found[0].tolist() == [63, 0, 0, 0, (2**32 - 1) * (2**28 - 1)]


def _chosen(fits: list[list[int]], asked: list[int], weighed: int, held: set[int]) -> tuple[int, int, int]:
    """Number, best and second, over all fits."""
    worth = {}
    for number, (_, door, owner, zone, saving) in enumerate(fits):
        net, is_free = saving - asked[door], asked[door] == 0
        if owner not in held and zone + 100 not in held and (is_free or (net > 0 and number < weighed)):
            worth[number] = net
    if not worth:
        return -1, -1, 0
    chosen = max(worth, key=lambda number: (worth[number], -number))
    others = [net for number, net in worth.items() if fits[number][OWNER] != fits[chosen][OWNER]]
    return chosen, worth[chosen], max(others, default=0)


class TestChoose:
    @settings(max_examples=500, deadline=None)
    @given(st.data())
    def test_it_likes_what_a_plain_reading_likes(self, data: st.DataObject) -> None:
        doors, owners, zones = st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)
        savings = st.one_of(st.integers(0, 6), st.sampled_from((2**60, 2**60 - 1)))
        fits = data.draw(st.lists(st.tuples(doors, owners, zones, savings), max_size=12))
        rows = [[0, *fit] for fit in sorted(fits, key=lambda fit: -fit[-1])]
        prices = st.one_of(st.just(0), st.integers(1, 6), st.sampled_from((2**60, CLOSED)))
        asked = data.draw(st.lists(prices, min_size=6, max_size=6))
        weighed = data.draw(st.integers(0, 12))
        held_owners, held_zones = data.draw(st.sets(owners, max_size=2)), data.draw(st.sets(zones, max_size=2))
        chosen, best, second, free = choose(
            np.array(rows, np.int64).reshape(-1, FIT_FIELDS), np.array(asked, np.int64), weighed,
            np.array(sorted(held_owners), np.int64), np.array(sorted(held_zones), np.int64),
        )  # fmt: skip
        held = held_owners | {zone + 100 for zone in held_zones}
        assert (chosen, best, second) == _chosen(rows, asked, weighed, held)
        with_room = {row[OWNER] for row in rows if asked[row[DOOR]] == 0}
        with_room -= {row[OWNER] for row in rows if row[OWNER] in held_owners}
        assert free <= len(with_room)
        if not held_zones:
            assert free == min(2, len(with_room))

    def test_a_closed_door_is_never_worth_it(self) -> None:
        fits = np.array([[0, 0, 0, 0, 2**60]], np.int64)
        assert choose(fits, np.array([CLOSED], np.int64), 128, NO_NUMBERS, NO_NUMBERS)[0] == -1

    def test_a_free_seat_that_saves_nothing_is_taken_and_a_taken_one_is_not(self) -> None:
        fits = np.array([[0, 0, 0, 0, 5], [1, 1, 1, 0, 0]], np.int64)
        assert choose(fits, np.array([5, 0], np.int64), 128, NO_NUMBERS, NO_NUMBERS) == (1, 0, 0, 1)


def test_where_no_folder_can_be_written_the_loops_are_compiled_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    spec = importlib.util.find_spec("backend.matching.kernel")
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    fits = np.array([[0, 0, 0, 0, 5]], np.int64)
    assert again.choose(fits, np.array([0], np.int64), 128, NO_NUMBERS, NO_NUMBERS) == (0, 5, 0, 1)

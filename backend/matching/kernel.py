"""The two loops of the matching rule that run most, compiled: which offers fit an order, and which it likes best.

Pure functions of arrays of integers. Nothing here decides what a need is, what a seat costs or who bids next.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Words = NDArray[np.uint64]

RATES, DOORS, OWNERS, ZONES = range(4)
MARKS: Final = 4
"""Rows of a page's marks: pico-dollars per metered unit, and three numbers."""
SPOT, DOOR, OWNER, ZONE, SAVING = range(5)
FIT_FIELDS: Final = 5
"""What is known of a fit; `SAVING` in pico-dollars."""

_Function = TypeVar("_Function", bound=Callable[..., Any])

_ONE: Final = np.uint64(1)
_TURNS: Final = np.uint64(0x03F79D71B4CB0A89)
"""A de Bruijn sequence: any power of two times this has six leading bits of its own."""
_TOP_SIX: Final = np.uint64(58)
_BITS: Final = np.zeros(64, np.int64)
for _bit in range(64):
    _BITS[(int(_TURNS) << _bit & 2**64 - 1) >> 58] = _bit


def _compiled(signature: str) -> Callable[[_Function], _Function]:
    """Typed as the function that it compiles."""

    def compiled(function: _Function) -> _Function:
        try:
            return cast(_Function, njit(signature, nogil=True, cache=True)(function))
        except RuntimeError:
            # Neither the package's folder nor the user's can be written: each process compiles for itself.
            return cast(_Function, njit(signature, nogil=True)(function))

    return compiled


@_compiled("uint64[::1](uint64[:, ::1], int64[::1], int64, int64, int64)")
def _meeting(table: Words, needs: Numbers, every: int, start: int, end: int) -> Words:
    """Who of some words' places meets all of the first `every` needs and, if there are more, one of those."""
    # Need by need over many words, which the compiler makes wide operations of.
    meeting = table[needs[0], start:end].copy()
    for need in needs[1:every]:
        part = table[need, start:end]
        for word in range(len(meeting)):
            meeting[word] &= part[word]
    if every < len(needs):
        either = table[needs[every], start:end].copy()
        for need in needs[every + 1 :]:
            part = table[need, start:end]
            for word in range(len(either)):
                either[word] |= part[word]
        for word in range(len(meeting)):
            meeting[word] &= either[word]
    return meeting


@_compiled(
    "UniTuple(int64, 4)(uint64[:, ::1], boolean[:, ::1], int64[::1], int64[::1], int64, int64[:, ::1], int64[::1],"
    " int64, int64, int64, int64, int64, int64[:, ::1], int64)"
)
def find(
    table: Words,
    made: NDArray[np.bool_],
    words: Numbers,
    needs: Numbers,
    every: int,
    marks: Numbers,
    asked: Numbers,
    place: int,
    max_rate: int,
    units: int,
    weighed: int,
    free: int,
    found: Numbers,
    count: int,
) -> tuple[int, int, int, int]:
    """Writes the fits of one order, from `place` on, to `found` from `count` on; for the arrays see sheet.py.

    `needs` are rows of the table: all of the first `every` must hold and, if there are more, one of those. The next
    `weighed` fits count with and without a free seat, those behind them only with one; the search ends when `free`
    with a free seat were found. Returns the new `count`, how many of `free` are missing, the place to go on at, and
    the page whose part of the needs' rows has to be made first, or -1.
    """
    end = marks.shape[1]
    page = int(np.searchsorted(words, place >> 6, "right")) - 1
    while page < len(words) - 1:
        if marks[RATES, words[page] << 6] > max_rate:
            return count, free, end, -1
        for number in needs:
            if not made[page, number]:
                return count, free, max(place, words[page] << 6), page
        start = max(place >> 6, words[page])
        meeting = _meeting(table, needs, every, start, words[page + 1])
        for word in range(start, words[page + 1]):
            fitting = meeting[word - start]
            if word == place >> 6:
                fitting &= ~((_ONE << np.uint64(place & 63)) - _ONE)
            while fitting != 0:
                lowest = fitting & (~fitting + _ONE)
                fitting ^= lowest
                here = (word << 6) + _BITS[(lowest * _TURNS) >> _TOP_SIX]
                if marks[RATES, here] > max_rate:
                    return count, free, end, -1
                is_free = asked[marks[DOORS, here]] == 0
                if weighed <= 0 and not is_free:
                    continue
                found[count, SPOT] = here
                found[count, DOOR] = marks[DOORS, here]
                found[count, OWNER] = marks[OWNERS, here]
                found[count, ZONE] = marks[ZONES, here]
                found[count, SAVING] = (max_rate - marks[RATES, here]) * units
                count += 1
                weighed -= 1
                free -= is_free
                if free == 0:
                    return count, free, here + 1, -1
        page += 1
    return count, free, end, -1


@_compiled("boolean(int64[::1], int64)")
def _has(numbers: Numbers, number: int) -> bool:
    """Whether the number is one of these."""
    for one in numbers:  # noqa: SIM110 - `any` is not compiled
        if one == number:
            return True
    return False


@_compiled("UniTuple(int64, 4)(int64[:, ::1], int64[::1], int64, int64[::1], int64[::1])")
def choose(
    fits: Numbers, asked: Numbers, most_weighed: int, held_owners: Numbers, held_zones: Numbers
) -> tuple[int, int, int, int]:
    """The number of the fit that saves most over what is asked, the first of equals; -1 if none is worth it.

    With it: what it saves over that, the same of the best fit of any other owner, 0 if there is none, and how many
    owners with a free seat were seen, two at most: behind the second nothing saves more than these.
    """
    chosen, best, second, owners, free_owner = -1, -1, 0, 0, -1
    for number in range(len(fits)):
        owner, price = fits[number, OWNER], asked[fits[number, DOOR]]
        net = fits[number, SAVING] - price
        if price > 0 and (net <= 0 or number >= most_weighed):
            continue
        if _has(held_owners, owner) or _has(held_zones, fits[number, ZONE]):
            continue
        if net > best:
            if chosen >= 0 and fits[chosen, OWNER] != owner:
                second = best
            chosen, best = number, net
        elif net > second and fits[chosen, OWNER] != owner:
            second = net
        if price == 0 and owner != free_owner:
            owners += 1
            free_owner = owner
            if owners == 2:
                break
    return chosen, best, second, owners

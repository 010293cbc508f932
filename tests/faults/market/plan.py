"""Which faults come in which cycle: drawn by a seed before anything starts, so that a failure can be played again."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from backend.crash_points import NAMES

PROCESSES: Final = ("serve", "worker", "indexer")
COMMON: Final = (
    *(f"kill {name}" for name in PROCESSES),
    "broker flushed",
    "broker away",
    "messages doubled",
    "messages reordered",
    "messages lost",
    "database killed",
    "nodes fail",
    "reorg",
    "gas spike",
    "foreign transaction",
    "pool dropped",
    "clock ahead",
    "clock behind",
)


CI_SEED: Final = "1"
CI_CYCLES_A_STACK: Final = 6
"""On three stacks one after the other: in these cycles of the seed each crash point and each fault comes."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What goes wrong in it, at which crash point a process dies, and the dice for all that is left to chance."""

    number: int
    crash_point: str
    faults: tuple[str, ...]
    dice: Random


def cycles(count: int, seed: str) -> list[Cycle]:
    """Each crash point and each fault comes equally often, and no other fault comes twice before all came once."""
    points, faults = _dealt(NAMES, Random(f"{seed}/points")), _dealt(COMMON, Random(f"{seed}/faults"))
    return [
        Cycle(
            number=number,
            crash_point=next(points),
            # A pair in every other cycle, since faults that meet find what each alone does not.
            faults=tuple(next(faults) for _ in range(1 + number % 2)),
            dice=Random(f"{seed}/{number}"),
        )
        for number in range(count)
    ]


def _dealt(cards: tuple[str, ...], dice: Random) -> Iterator[str]:
    while True:
        yield from dice.sample(cards, len(cards))

"""A run is many short lives of a world, each from its own seed, so that any part of it can be repeated alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.differential import layout
from tests.differential.chain import Chain
from tests.differential.choosing import Chooser
from tests.differential.operations import Operation
from tests.differential.twins import Difference, Twins

EPISODE: Final = 500
"""Operations in one life: enough for leases, successors, claims and rulings, few enough to read everything back."""
Counts = Counter[tuple[str, str]]


@dataclass(slots=True)
class Failure(AssertionError):
    """A difference, with all that led to it."""

    seed: str
    difference: Difference
    operations: list[Operation]
    known: layout.Expected

    def __str__(self) -> str:
        shown = "\n".join(f"  {operation}" for operation in self.operations)
        return f"{self.difference}\nseed {self.seed}, {len(self.operations)} operations:\n{shown}"


def live(seed: str, operations: int = EPISODE, chain: Chain | None = None) -> Counts:
    """One life; raises `Failure` at the first difference. At its end every view is asked too."""
    layout.forget()
    twins = Twins(chain)
    chooser = Chooser(twins, Random(seed))
    history: list[Operation] = []
    try:
        for _ in range(operations):
            operation = chooser.next()
            history.append(operation)
            twins.run(operation)
            chooser.note(operation)
        twins.compare_state()
        twins.compare_views()
    except Difference as difference:
        raise Failure(seed, difference, history, twins.known) from difference
    return twins.counts


def run(seed: str, operations: int, progress: Callable[[int], None] | None = None) -> Counts:
    """As many operations in lives of their own."""
    counts: Counts = Counter()
    for number in range(-(-operations // EPISODE)):
        counts += live(f"{seed}/{number}", min(EPISODE, operations - number * EPISODE))
        if progress:
            progress(number)
    return counts


def shrink(failure: Failure) -> Failure:
    """Leaves out whatever the difference does not need."""
    size = len(failure.operations) // 2
    while size:
        start = 0
        while start < len(failure.operations):
            fewer = failure.operations[:start] + failure.operations[start + size :]
            smaller = _replay(failure, fewer)
            if smaller is None:
                start += size
            else:
                failure = smaller
        size //= 2
    return failure


def _replay(failure: Failure, operations: list[Operation]) -> Failure | None:
    twins = Twins()
    twins.known.take_over(failure.known)
    for number, operation in enumerate(operations):
        try:
            twins.run(operation)
        except Difference as difference:
            return Failure(failure.seed, difference, operations[: number + 1], failure.known)
    return None


def table(counts: Counts) -> str:
    """Operation × outcome, one a line."""
    rows = [f"{name:<26}{outcome:<40}{count:>9}" for (name, outcome), count in sorted(counts.items())]
    return "\n".join([f"{'operation':<26}{'outcome':<40}{'count':>9}", *rows])

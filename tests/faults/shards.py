"""Long campaigns in pieces: a shard is some of the cycles that a seed draws, and the record goes on where it ended.

`bench/results/<name>.json` has a row for all shards that held, one for the longest settling, and one for each shard.
Ctrl-C or SIGTERM ends a shard after the cycle that it is at, and what was done till then is recorded.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from types import FrameType
from typing import Any, Final, TypeAlias

from bench.record import RESULTS, facts

GOAL_CYCLES: Final = 500
MINUTE_SECONDS: Final = 60.0
_STOPPED: Final = 130
_TOTAL_ROWS: Final = 2

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shard:
    """`count` cycles of those that the seed draws, from number `first` on."""

    seed: str
    first: int
    count: int


@dataclass(slots=True)
class Outcome:
    """What came of a shard; a cycle is in it once it has held."""

    cycle_seconds: list[float] = field(default_factory=list)
    #: what was lost, doubled, stuck or jammed
    failure: str | None = None
    longest_seconds: float = 0.0
    #: what else is told of it: numbers, or numbers by name
    told: dict[str, int | dict[str, int]] = field(default_factory=dict)


Play: TypeAlias = Callable[[Shard, Callable[[], bool]], Outcome]
"""Plays a shard; asks before each cycle whether it shall stop."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which cycles are played, and what is kept of them."""
    parser.add_argument("--cycles", type=int, default=60, help="cycles of a shard (60)")
    parser.add_argument("--from", type=int, default=0, dest="first", metavar="N", help="the first of them (0)")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--record", action="store_true", help="keep the shard in bench/results")
    parser.add_argument(
        "--until", type=int, default=0, metavar="N", help="go on with the record until N cycles of the seed have held"
    )


def run(name: str, title: str, command: str, options: argparse.Namespace, play: Play) -> int:
    """The exit code: 0 if all held, 1 if not, 130 if it was stopped."""
    rows = read(name)
    with _stop_wanted() as wanted:
        while (shard := _next(rows, options)) is not None:
            begun = time.monotonic()
            outcome = play(shard, wanted)
            row = row_of(shard, outcome, round(time.monotonic() - begun))
            if (options.record or options.until) and (outcome.cycle_seconds or outcome.failure):
                full = f"{command} --from {shard.first} --cycles {shard.count} --seed {shard.seed} --record"
                rows = [*rows, {**row, **facts(full)}]
                write(name, title, rows)
            print(json.dumps(row), flush=True)
            if outcome.failure is not None:
                print(f"the same again: {command} --from {shard.first} --seed {shard.seed}", file=sys.stderr)
                return 1
            if wanted():
                return _STOPPED
            if not options.until:
                break
    return 0


def row_of(shard: Shard, outcome: Outcome, duration_seconds: int) -> Row:
    """Of cycles that are done; those of a shard that broke do not count."""
    done = len(outcome.cycle_seconds)
    stopped = "held" if done == shard.count else f"held, and stopped after {done} cycles"
    return {
        "name": f"cycles {shard.first} to {shard.first + done - 1} of seed {shard.seed}",
        "value": done,
        "unit": "cycles",
        "goal": shard.count,
        "holds": outcome.failure is None,
        "outcome": outcome.failure or stopped,
        "seed": shard.seed,
        "first": shard.first,
        "longest_s": round(outcome.longest_seconds, 1),
        "cycle_s": round(median(outcome.cycle_seconds), 1) if done else None,
        "duration_s": duration_seconds,
        **outcome.told,
    }


def read(name: str) -> list[Row]:
    """The shards of a record."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())[_TOTAL_ROWS:] if path.exists() else []


def write(name: str, title: str, rows: list[Row]) -> None:
    """The record of these shards."""
    text = json.dumps([*totals(title, rows), *rows], indent=2)
    (RESULTS / f"{name}.json").write_text(f"{text}\n")


def totals(title: str, rows: list[Row]) -> list[Row]:
    """Over the shards that held."""
    held = [row for row in rows if row["holds"]]
    seeds = sorted({row["seed"] for row in held})
    cycles = sum(len(held_cycles(held, seed)) for seed in seeds)
    longest = max((row["longest_s"] for row in held), default=0.0)
    last = {name: rows[-1][name] for name in ("command", "commit", "machine", "at")}
    return [
        {
            "name": f"{title}: nothing lost, doubled, stuck or jammed",
            "value": cycles,
            "unit": "cycles",
            "goal": GOAL_CYCLES,
            "holds": cycles >= GOAL_CYCLES,
            "count": len(held),
            "seeds": seeds,
            "commits": sorted({row["commit"] for row in held}),
            "duration_s": sum(row["duration_s"] for row in held),
            **_sums(held),
            **last,
        },
        {
            "name": f"{title}: longest time from the end of the trouble until all was done",
            "value": longest,
            "unit": "s",
            "goal": MINUTE_SECONDS,
            "holds": longest <= MINUTE_SECONDS,
            **last,
        },
    ]


def held_cycles(rows: list[Row], seed: str) -> set[int]:
    """Their numbers; one that was played twice is one."""
    held = [row for row in rows if row["holds"] and row["seed"] == seed]
    return {number for row in held for number in range(row["first"], row["first"] + row["value"])}


def first_gap(rows: list[Row], seed: str) -> tuple[int, int | None]:
    """The first cycle of the seed that has not held yet, and the next one after it that has."""
    held = held_cycles(rows, seed)
    first = next(number for number in count() if number not in held)
    return first, min((number for number in held if number > first), default=None)


def _next(rows: list[Row], options: argparse.Namespace) -> Shard | None:
    if not options.until:
        return Shard(options.seed, options.first, options.cycles)
    first, following = first_gap(rows, options.seed)
    end = min(options.until, first + options.cycles, following if following is not None else options.until)
    return Shard(options.seed, first, end - first) if end > first else None


def _sums(rows: list[Row]) -> dict[str, int | dict[str, int]]:
    """What the shards tell, added up."""
    names = [name for name, value in (rows[0] if rows else {}).items() if isinstance(value, dict)]
    sums: dict[str, int | dict[str, int]] = {
        name: dict(sum((Counter(row.get(name, {})) for row in rows), Counter())) for name in names
    }
    return {"jobs": sum(row.get("jobs", 0) for row in rows), **sums}


@contextmanager
def _stop_wanted() -> Iterator[Callable[[], bool]]:
    """True inside once Ctrl-C or SIGTERM has come; the second one ends all at once."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        print("stopping after this cycle", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

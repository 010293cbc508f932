"""The record of a long campaign: only what held counts, and it goes on with what is missing."""

import argparse
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import shards
from tests.faults.shards import Outcome, Row, Shard, first_gap, row_of, totals

_FACTS = {"command": "again", "commit": "abc", "machine": "m", "at": "now"}


def _row(first: int, count: int, done: int | None = None, failure: str | None = None, **told: Any) -> Row:
    outcome = Outcome([2.0] * (count if done is None else done), failure, 3.0, told)
    return row_of(Shard("1", first, count), outcome, 7) | _FACTS


def test_only_shards_that_held_count() -> None:
    rows = [
        _row(0, 60, jobs=100, deaths={"serve": 2}),
        _row(60, 60, done=11, failure="cycle 71: lost"),
        _row(60, 60, done=20, jobs=10, deaths={"serve": 1, "worker": 1}),
    ]
    total, longest = totals("faults", rows)
    assert (total["value"], total["holds"], total["count"]) == (80, False, 2)
    assert (total["jobs"], total["deaths"]) == (110, {"serve": 3, "worker": 1})
    assert (longest["value"], longest["holds"]) == (3.0, True)


def test_a_shard_that_was_stopped_says_so_and_one_that_broke_says_why() -> None:
    assert _row(60, 60, done=20)["outcome"] == "held, and stopped after 20 cycles"
    assert _row(60, 60, done=11, failure="cycle 71: lost")["outcome"] == "cycle 71: lost"


def test_five_hundred_cycles_that_held_are_the_goal() -> None:
    total, _ = totals("faults", [_row(0, 499), _row(499, 1)])
    assert total["holds"]


def test_cycles_that_were_played_twice_count_once() -> None:
    total, _ = totals("faults", [_row(0, 60), _row(40, 30)])
    assert total["value"] == 70


def test_the_record_goes_on_with_the_first_cycle_that_has_not_held() -> None:
    rows = [_row(0, 60), _row(60, 60, done=11, failure="lost"), _row(100, 20), _row(120, 10)]
    assert first_gap(rows, "1") == (60, 100)
    assert first_gap([*rows, _row(60, 40)], "1") == (130, None)
    assert first_gap(rows, "2") == (0, None)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shards, "RESULTS", tmp_path)
    return tmp_path


def _options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    shards.add_options(parser)
    return parser.parse_args(arguments)


def _recorded(results: Path) -> list[tuple[int, int, bool]]:
    rows = json.loads((results / "faults-x.json").read_text())[2:]
    return [(row["first"], row["value"], row["holds"]) for row in rows]


def test_a_record_is_gone_on_with_until_enough_cycles_have_held(results: Path) -> None:
    def play(shard: Shard, stop: Callable[[], bool]) -> Outcome:
        return Outcome([1.0] * shard.count)

    code = shards.run("faults-x", "faults", "again", _options("--cycles", "4", "--until", "10"), play)
    assert (code, _recorded(results)) == (0, [(0, 4, True), (4, 4, True), (8, 2, True)])
    assert shards.run("faults-x", "faults", "again", _options("--until", "10"), play) == 0
    assert len(_recorded(results)) == 3


def test_a_shard_that_breaks_ends_the_run_and_is_played_again(results: Path) -> None:
    def breaks(shard: Shard, stop: Callable[[], bool]) -> Outcome:
        return Outcome([1.0], failure="cycle 1: lost")

    def holds(shard: Shard, stop: Callable[[], bool]) -> Outcome:
        return Outcome([1.0] * shard.count)

    options = _options("--cycles", "4", "--until", "4")
    assert shards.run("faults-x", "faults", "again", options, breaks) == 1
    assert shards.run("faults-x", "faults", "again", options, holds) == 0
    assert _recorded(results) == [(0, 1, False), (0, 4, True)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_shard_after_its_cycle_and_what_was_done_is_recorded(results: Path, number: int) -> None:
    def play(shard: Shard, stop: Callable[[], bool]) -> Outcome:
        outcome = Outcome()
        for cycle in range(shard.count):
            if stop():
                break
            if cycle == 2:
                os.kill(os.getpid(), number)
            outcome.cycle_seconds.append(1.0)
        return outcome

    before = signal.getsignal(number)
    assert shards.run("faults-x", "faults", "again", _options("--record", "--cycles", "9"), play) == 130
    assert _recorded(results) == [(0, 3, True)]
    assert signal.getsignal(number) is before

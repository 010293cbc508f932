"""The record of a long campaign: only what held counts, and it goes on with what is missing."""

from typing import Any

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


def test_the_record_goes_on_with_the_first_cycle_that_has_not_held() -> None:
    rows = [_row(0, 60), _row(60, 60, done=11, failure="lost"), _row(100, 20), _row(120, 10)]
    assert first_gap(rows, "1") == (60, 100)
    assert first_gap([*rows, _row(60, 40)], "1") == (130, None)
    assert first_gap(rows, "2") == (0, None)

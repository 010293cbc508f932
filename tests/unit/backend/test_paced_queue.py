"""Buyers write at once; all others have a third of the time while buyers are about, and all of it when none is."""

import pytest

from backend.paced_queue import PacedQueue


def served(queue: PacedQueue[str], now: float, until: float, costs: dict[str, float]) -> dict[str, float]:
    """Seconds that each kind was served by one who takes whoever is due; `now` only goes on."""
    spent = dict.fromkeys(costs, 0.0)
    while now < until:
        item = queue.take(now)
        if item is None:
            now += 0.001
            continue
        now += costs[item]
        spent[item] += costs[item]
        queue.spend(costs[item], now)
    return spent


def filled(buyers: int, reports: int) -> PacedQueue[str]:
    queue: PacedQueue[str] = PacedQueue()
    for kind, count in (("report", reports), ("buyer", buyers)):
        for _ in range(count):
            queue.append(kind, 0.0, is_first=kind == "buyer")
    return queue


def test_of_many_that_wait_the_others_have_a_third_of_the_time_whatever_one_of_them_costs() -> None:
    for cost in (0.002, 0.012, 0.05):
        spent = served(filled(10_000, 10_000), 0.0, 3.0, {"buyer": 0.002, "report": cost})
        assert spent["report"] == pytest.approx(1.0, abs=0.1)
        assert spent["buyer"] == pytest.approx(2.0, abs=0.1)


def test_while_one_of_the_others_rests_a_buyer_who_comes_is_taken_at_once() -> None:
    queue = filled(1, 2)
    assert queue.take(0.0) == "report"
    queue.spend(0.01, 0.01)
    assert queue.take(0.01) == "buyer"
    queue.spend(0.001, 0.011)
    assert queue.take(0.011) is None
    assert queue.wait_seconds(0.011) == pytest.approx(0.019)
    queue.append("buyer", 0.012, is_first=True)
    assert queue.wait_seconds(0.012) == 0
    assert queue.take(0.012) == "buyer"
    assert queue.take(0.03) == "report"


def test_where_no_buyer_is_about_the_others_do_not_rest() -> None:
    assert served(filled(0, 10_000), 0.0, 1.0, {"report": 0.01})["report"] == pytest.approx(1.0, abs=0.02)
    queue = filled(1, 10_000)
    spent = served(queue, 0.0, 3.0, {"buyer": 0.002, "report": 0.01})
    assert spent["report"] > 2.5, "half a second after the last one came"


def test_whoever_waits_can_be_taken_and_then_nobody_waits() -> None:
    queue = filled(2, 2)
    assert sorted(queue.all()) == ["buyer", "buyer", "report", "report"]
    assert queue.wait_seconds(0.0) is None
    assert queue.take(0.0) is None

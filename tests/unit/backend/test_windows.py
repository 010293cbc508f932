"""The counter of requests in memory: no more than the limit in any window's time, as far as two counts can tell."""

import time

import pytest

from backend.windows import Windows


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [600.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_so_many_are_granted_and_what_is_left_is_told(clock: list[float]) -> None:
    windows = Windows(60)
    assert [windows.hit("A", 3)[:2] for _ in range(4)] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert windows.hit("B", 3).granted, "each is counted apart"


def test_what_the_window_before_counted_weighs_less_the_longer_ago_it_is(clock: list[float]) -> None:
    windows = Windows(60)
    for _ in range(10):
        windows.hit("A", 10)
    clock[0] += 60
    assert not windows.hit("A", 10).granted, "the whole window before is still within reach"
    clock[0] += 30
    assert [windows.hit("A", 10).granted for _ in range(6)] == [True] * 5 + [False], "half of it is"


def test_what_was_refused_is_not_counted(clock: list[float]) -> None:
    windows = Windows(60)
    for _ in range(100):
        windows.hit("A", 1)
    clock[0] += 119
    assert windows.hit("A", 1).granted


def test_it_says_when_to_come_back(clock: list[float]) -> None:
    windows = Windows(60)
    windows.hit("A", 1)
    clock[0] += 59
    assert windows.hit("A", 1).reset_seconds == 1


def test_nothing_is_kept_of_who_is_not_seen_for_two_windows(clock: list[float]) -> None:
    windows = Windows(60)
    for number in range(1000):
        windows.hit(number, 5)
    clock[0] += 120
    windows.hit("A", 5)
    assert len(windows._now) + len(windows._before) <= 2

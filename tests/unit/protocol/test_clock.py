"""The clock of all rooms, and what is made of one that is set back."""

import pytest

from protocol import clock


@pytest.mark.parametrize(("now_time", "passed"), [(99, True), (100, False), (104, False), (105, True)])
def test_a_clock_that_was_set_back_makes_nobody_wait(
    monkeypatch: pytest.MonkeyPatch, now_time: int, *, passed: bool
) -> None:
    monkeypatch.setattr(clock, "now_time", lambda: now_time)
    assert clock.has_passed(100, 5) is passed

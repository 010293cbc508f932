"""However often a step is rung for, it runs where something may be to do; while steps are short, half of the time."""

from datetime import UTC, datetime

import pytest

from backend import wake
from backend.operations.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.time, self.pauses = 1000.0, list[float]()

    def pace(self) -> Pace:
        return Pace(now=lambda: self.time, pause=self.pauses.append)

    def run(self, pace: Pace, seconds: float) -> None:
        with pace.run():
            self.time += seconds


def test_rings_from_before_a_run_began_are_served_by_it_and_later_ones_are_not() -> None:
    clock = Clock()
    pace = clock.pace()
    assert not pace.has_served(990.0)
    clock.run(pace, 3)
    assert pace.has_served(999.9)
    assert not pace.has_served(1000.1)
    assert not pace.has_served(None)


def test_a_clock_that_was_set_back_silences_nobody() -> None:
    clock = Clock()
    pace = clock.pace()
    clock.run(pace, 1)
    clock.time -= 3600
    assert not pace.has_served(clock.time)


@pytest.mark.parametrize(("seconds", "pause"), [(0.03, 0.03), (0.2, 0.2), (7, 0.3), (-3600, 0)])
def test_a_run_is_followed_by_a_pause_as_long_as_it_and_of_three_tenths_of_a_second_at_most(
    seconds: float, pause: float
) -> None:
    clock = Clock()
    clock.run(clock.pace(), seconds)
    assert clock.pauses == [pytest.approx(pause)]


def test_when_a_task_was_rung_for_follows_from_when_it_expires() -> None:
    expires = datetime.fromtimestamp(2000, UTC).isoformat()
    assert wake.rung_time(expires) == 2000 - wake.EXPIRES_SECONDS
    assert wake.rung_time(None) is None
    assert wake.rung_time("soon") is None

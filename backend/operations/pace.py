"""How often a work runs, however often it is rung for: a run does all that is due, and leaves the machine to others."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_PAUSE_SHARE: Final = 1.0
"""Of the time that a run took."""
_LONGEST_PAUSE_SECONDS: Final = 0.3


class Pace:
    """Of one work in one process."""

    def __init__(self, *, now: Callable[[], float] = time.time, pause: Callable[[float], object] = time.sleep) -> None:
        self._now, self._pause = now, pause
        #: unix seconds at which the last run began
        self._began = float("-inf")

    def has_served(self, rung_time: float | None) -> bool:
        """Whether a run that began after the ring has done what it was for. A clock that was set back serves nobody."""
        return rung_time is not None and rung_time < self._began <= self._now()

    @contextmanager
    def run(self) -> Iterator[None]:
        """One run, then a pause as long as it was, but not a long one: short runs leave half of all time to others."""
        self._began = self._now()
        try:
            yield
        finally:
            took = self._now() - self._began
            self._pause(min(max(took * _PAUSE_SHARE, 0.0), _LONGEST_PAUSE_SECONDS))

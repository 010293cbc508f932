"""A sliding window counter in memory: what the window before counted weighs as much as of it is still within reach."""

import time
from collections import Counter
from collections.abc import Hashable
from math import ceil
from typing import NamedTuple


class Hit(NamedTuple):
    """What came of one hit."""

    granted: bool
    remaining: int
    #: seconds until there is more
    reset_seconds: int


class Windows:
    """Of one event loop. Nothing is kept of who was not seen for two windows."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._number = 0
        self._now: Counter[Hashable] = Counter()
        self._before: Counter[Hashable] = Counter()

    def hit(self, who: Hashable, most: int) -> Hit:
        """Counts it, unless there were `most` in the last window's time."""
        number, part = divmod(time.monotonic(), self._seconds)
        self._turn(int(number))
        left = self._seconds - part
        before, now = self._before[who], self._now[who]
        weighed = before * left / self._seconds
        granted = int(weighed + now) < most
        if granted:
            now += 1
            self._now[who] = now
        reset = min(left % (self._seconds / before) if before else left, left)
        return Hit(granted, max(0, most - int(weighed + now)), min(self._seconds, max(1, ceil(reset))))

    def _turn(self, number: int) -> None:
        if number != self._number:
            self._before = self._now if number == self._number + 1 else Counter()
            self._now = Counter()
            self._number = number

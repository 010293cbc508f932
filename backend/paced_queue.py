"""Who of those that want to write is next: buyers at once, and all others for a share of the time while they are about.

A wave of reports, which providers may send at once and have a notice's time for, holds up no buyer. And buyers hold up
no provider for long: its share is its own, whoever else waits.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_REST: Final = 2.0
"""Times as long as one of the others took, the next one waits: they have a third of the time."""
_ABOUT_SECONDS: Final = 0.5
"""So long after a buyer came another one is expected."""


class PacedQueue(Generic[T]):
    """First come first served, each kind by itself. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._first: deque[T] = deque()
        self._others: deque[T] = deque()
        self._took_first = False
        self._first_came = float("-inf")
        self._others_rest_until = float("-inf")

    @property
    def is_first_waiting(self) -> bool:
        """Whether a buyer waits."""
        return bool(self._first)

    def append(self, item: T, now: float, *, is_first: bool) -> None:
        """`is_first`: a buyer's."""
        if is_first:
            self._first_came = now
        (self._first if is_first else self._others).append(item)

    def take(self, now: float) -> T | None:
        """The next one; None if nobody waits, or nobody but those that rest."""
        is_others = bool(self._others) and now >= self._others_rest_until
        self._took_first = not is_others
        if is_others:
            return self._others.popleft()
        return self._first.popleft() if self._first else None

    def all(self) -> Iterator[T]:
        """Takes whoever waits."""
        while waiting := self._first or self._others:
            yield waiting.popleft()

    def spend(self, seconds: float, now: float) -> None:
        """What the one that was taken last has taken."""
        if not self._took_first and (self._first or now - self._first_came < _ABOUT_SECONDS):
            self._others_rest_until = now + _REST * seconds

    def wait_seconds(self, now: float) -> float | None:
        """Until one can be taken; None if nobody waits."""
        if self._first:
            return 0.0
        return max(0.0, self._others_rest_until - now) if self._others else None

"""Who of those that wait is next: first come first served, and buyers before others, but never all the time."""

from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_MOST_IN_A_ROW: Final = 3


class FairQueue(Generic[T]):
    """Three of four that are taken are first, as long as so many wait.

    A wave of reports, which providers may send at once and have a notice's time for, holds up no buyer; and buyers hold
    up no provider for long.
    """

    def __init__(self) -> None:
        self._first: deque[T] = deque()
        self._others: deque[T] = deque()
        #: so many that are first were taken since another one was
        self._in_a_row = 0

    def __bool__(self) -> bool:
        return bool(self._first or self._others)

    def append(self, item: T, *, is_first: bool) -> None:
        (self._first if is_first else self._others).append(item)

    def take(self) -> T:
        """The next one; raises `IndexError` if nobody waits."""
        is_first = bool(self._first) and not (self._in_a_row >= _MOST_IN_A_ROW and self._others)
        self._in_a_row = self._in_a_row + 1 if is_first else 0
        return (self._first if is_first else self._others).popleft()

"""The only place that reads the wall clock."""

import time
from datetime import UTC, datetime


def now_time() -> int:
    """Unix seconds."""
    return int(time.time())


def now_milliseconds() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def now_at() -> datetime:
    """Aware UTC datetime."""
    return datetime.now(UTC)


def has_passed(since_time: int, seconds: int) -> bool:
    """Whether so many seconds are over; a clock that was set back since then makes nobody wait."""
    return not since_time <= now_time() < since_time + seconds

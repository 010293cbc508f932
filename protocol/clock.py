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

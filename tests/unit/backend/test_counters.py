"""Rate limits that are counted in memory: no thread for each request, and nothing is kept for good."""

import asyncio
import threading
import time

import pytest

from backend import limits
from backend.limits import RateLimits
from backend.settings import MarketSettings
from tests.support.waiting import wait_until


def test_requests_begin_no_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = RateLimits(MarketSettings())
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    for _ in range(20):
        asyncio.run(counters.take("address", "read", "10.0.0.1"))
        # The library would have swept by then.
        time.sleep(0.015)
    assert len(begun) <= 2


def test_a_counter_that_has_expired_is_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_SWEEP_SECONDS", 0.05)
    storage = limits._SeldomSwept()
    time.sleep(0.05)
    storage.incr("a minute", 0.01)
    wait_until(lambda: not storage.storage)

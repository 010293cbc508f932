"""What five hundred connections that are hardly alive cost everybody else: p99 beside them ÷ p99 without."""

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.load.calls import Calls
from tests.support.accounts_market import MODULE, Somebody, job_body
from tests.support.lone_server import LoneServer, lone_server
from tests.support.slow_lines import SlowLine, slow_lines
from tests.support.waiting import wait_until

ROUNDS: Final = int(os.environ.get("ROUNDS", "7"))
REQUESTS: Final = int(os.environ.get("REQUESTS", "2000"))
_AT_ONCE: Final = 4
_MOST_TIMES: Final = 2
_SETTLE_SECONDS: Final = 10
_HELD: Final = 400
"""So many of them are open before it counts; some are being ended and opened anew at any time."""


async def slow() -> list[dict[str, Any]]:
    """Rounds with and without them by turns, so that what else the machine does falls on both."""
    # In a thread, because the market that is asked in process has an event loop of its own.
    return await asyncio.to_thread(_measured)


def _measured() -> list[dict[str, Any]]:
    alone, beside = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder, lone_server(Path(folder)) as served:
        somebody, lines = _prepared(served)
        good = _Good(served.port, somebody)
        good.p99()
        for _ in range(ROUNDS):
            alone.append(good.p99())
            with _held(served, lines):
                beside.append(good.p99())
            print(f"  alone {alone[-1] * 1000:.1f} ms, beside them {beside[-1] * 1000:.1f} ms", flush=True)
    times = statistics.median(beside) / statistics.median(alone)
    command = f"GET /v1/account and POST /v1/jobs, {REQUESTS} a round, median of {ROUNDS} rounds: p99"
    return [
        {"name": command, "value": round(statistics.median(alone) * 1000, 3), "unit": "ms"},
        {
            "name": f"the same beside {len(lines)} slow connections",
            "value": round(statistics.median(beside) * 1000, 3),
            "unit": "ms",
        },
        {
            "name": "beside ÷ alone",
            "value": round(times, 3),
            "unit": "×",
            "goal": _MOST_TIMES,
            "holds": times <= _MOST_TIMES,
        },
        {
            "name": "good requests without an answer, or with a refusal",
            "value": good.failed,
            "unit": "requests",
            "goal": 0,
            "holds": good.failed == 0,
        },
    ]


def _prepared(served: LoneServer) -> tuple[Somebody, list[SlowLine]]:
    somebody = served.world.somebody("bench")
    somebody.make_key()
    somebody.fund(10**12)
    somebody.offer()
    somebody.put(MODULE, by_key=True)
    return somebody, slow_lines(somebody)


class _Good:
    """Whoever only wants to be answered."""

    def __init__(self, port: int, somebody: Somebody) -> None:
        self._port, self._key = port, somebody.made["key"]
        self._cid = somebody.put(MODULE)
        self._number = 0
        self.failed = 0

    def p99(self) -> float:
        """Seconds, of one round."""
        return asyncio.run(self._round(Calls(self._port, _AT_ONCE)))

    async def _round(self, calls: Calls) -> float:
        times: list[float] = []
        given = iter(range(REQUESTS))

        async def some() -> None:
            for _ in given:
                self._number += 1
                begun = time.perf_counter()
                is_good = await self._one(calls, self._number)
                times.append(time.perf_counter() - begun)
                self.failed += not is_good

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
        return sorted(times)[int(len(times) * 0.99)]

    async def _one(self, calls: Calls, number: int) -> bool:
        try:
            if number % 2:
                return (await calls("GET", "/v1/account", token=self._key)).status == 200
            body = job_body(self._cid)
            answer = await calls("POST", "/v1/jobs", body, self._key, Idempotency_Key=f"bench-{number}")
        except ConnectionError:
            return False
        return answer.status == 202


@contextmanager
def _held(served: LoneServer, lines: list[SlowLine]) -> Iterator[None]:
    """All of them, from a process of their own; one that the server ends comes again."""
    before = served.open_files()
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(served.port, lines), daemon=True)
    holder.start()
    try:
        wait_until(lambda: served.open_files() >= before + _HELD, 60)
        # What they ask for at first is work like any other's; it is what they hold that is measured.
        time.sleep(_SETTLE_SECONDS)
        yield
    finally:
        holder.kill()
        holder.join()
        wait_until(lambda: served.open_files() <= before + _AT_ONCE + 8, 60)


def _hold(port: int, lines: list[SlowLine]) -> None:
    async def again_and_again(line: SlowLine) -> None:
        while True:
            await line.hold(port)

    async def every() -> None:
        await asyncio.gather(*(again_and_again(line) for line in lines))

    asyncio.run(every())

"""`/v1/ledger` on a SQLite mirror of 1,000,200 events: page rate against an empty answer of the same server, depth.

The server is the market's app with the explorer mounted, as `gridlease serve` runs it, in a process of its own; the
empty answer is one more route of it, so it passes the same middleware. Two kinds of page are measured: the newest one,
asked for again and again, and pages that nobody asked for before, each from another place of the list.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from fastapi import Response

from backend.app import create_app
from backend.settings import MarketSettings
from bench.http_load import Load, load
from bench.record import write
from bench.synthetic import EVENTS_PER_BLOCK, make_mirror
from explorer import api
from explorer.api.cursors import Cursor, Seal, page_key
from explorer.app import mount
from explorer.settings import ExplorerSettings
from gridlease.serve import serve_app
from indexer.queries import Mirror

EVENTS: Final = int(os.environ.get("EVENTS", "1000200"))
RUNS, REQUESTS, CONNECTIONS = 5, 1_500, 16
PAGE_ROWS, DEEP_PAGE = 50, min(20_000, EVENTS // 50 - 4)
_KEY: Final = "bench"


def serve(path: str, port: int) -> None:
    """The market's middleware around the explorer and an empty route; nothing of the market itself is asked."""
    mirror = Mirror(f"sqlite:///{path}")
    market: Any = SimpleNamespace(settings=MarketSettings(), mirror=mirror, db=SimpleNamespace(close=lambda: None))
    app = create_app(market)
    mount(app, mirror, settings=ExplorerSettings.model_validate({"page_key": _KEY}))

    @app.get("/v1/ledger-empty")
    async def empty() -> Response:
        return Response()

    # Among the ledger's own routes, so that it is found as quickly as a page is.
    app.router.routes.insert(len(api.routes()), app.router.routes.pop())
    serve_app(app, "127.0.0.1", port)


def token_below(seal: Seal, mirror: Mirror, seq: int) -> str:
    """The page token whose page begins with the event numbered `seq`, as the page before it would give it out."""
    number, index = divmod(seq, EVENTS_PER_BLOCK)
    block_hash = mirror.hashes({number + 1})[number + 1]
    cursor = Cursor(
        place=(number + 1, index), newer=False, reorg_epoch=0, block_number=number + 1, block_hash=block_hash
    )
    return seal.token(cursor, repr(("/v1/ledger/events", [])))


class Server:
    """The measured process."""

    def __init__(self, path: Path) -> None:
        self.port = 8791
        self._process = subprocess.Popen([sys.executable, "-m", "bench.reads", "serve", str(path), str(self.port)])

    def __enter__(self) -> "Server":
        for _ in range(200):
            try:
                asyncio.run(load(self.port, lambda _: "/v1/ledger/status", connections=1, requests=1))
                return self
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def median_of(name: str, runs: list[Load]) -> float:
    """Of the rates; the spread is shown, for whoever reads the run."""
    rates = sorted(run.rate for run in runs)
    print(f"{name:44} {rates[len(rates) // 2]:8.0f} /s  ({rates[0]:.0f} … {rates[-1]:.0f}), {runs[0].bytes} bytes")
    return statistics.median(rates)


def measure(path: Path) -> list[dict[str, Any]]:
    mirror = Mirror(f"sqlite:///{path}")
    seal = Seal(page_key(ExplorerSettings.model_validate({"page_key": _KEY}), None))
    chance = random.Random(1)
    places = [chance.randrange(PAGE_ROWS, EVENTS - PAGE_ROWS) for _ in range(RUNS * REQUESTS)]
    tokens = [token_below(seal, mirror, seq) for seq in places]
    paths: dict[str, Callable[[int, int], str]] = {
        "empty answer": lambda run, i: "/v1/ledger-empty",
        "newest events": lambda run, i: "/v1/ledger/events",
        "newest leases": lambda run, i: "/v1/ledger/leases",
        "newest payments": lambda run, i: "/v1/ledger/payments",
        "events, another page each time": lambda run, i: f"/v1/ledger/events?page_token={tokens[run * REQUESTS + i]}",
    }
    runs: dict[str, list[Load]] = {name: [] for name in paths}
    with Server(path) as server:
        for run in range(RUNS):
            # In turn within each run, so that what else the machine does falls on all alike.
            for name, target in paths.items():
                ask = load(server.port, partial(target, run), connections=CONNECTIONS, requests=REQUESTS)
                runs[name].append(asyncio.run(ask))
        depth = _depth(server.port, seal, mirror)
    empty = median_of("empty answer", runs["empty answer"])
    rows: list[dict[str, Any]] = [{"name": "empty answer", "value": round(empty), "unit": "1/s"}]
    for name in list(paths)[1:]:
        ratio = median_of(name, runs[name]) / empty
        p99 = statistics.median(run.p99 for run in runs[name]) * 1000
        goals = {"goal": 0.4, "holds": ratio >= 0.4}, {"goal": 25, "holds": p99 <= 25}
        rows.append({"name": f"{name}: rate ÷ empty", "value": round(ratio, 2), "unit": "×"} | goals[0])
        rows.append(
            {"name": f"{name}: p99, {CONNECTIONS} connections", "value": round(p99, 1), "unit": "ms"} | goals[1]
        )
    rows.append(
        {
            "name": f"page {DEEP_PAGE} ÷ page 1",
            "value": round(depth, 2),
            "unit": "×",
            "goal": 1.5,
            "holds": depth <= 1.5,
        }
    )
    mirror.close()
    return rows


def _row(name: str, value: float, unit: str, *, goal: float, holds: bool) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "unit": unit, "goal": goal, "holds": holds}


def _depth(port: int, seal: Seal, mirror: Mirror) -> float:
    """Time of pages around the deep one ÷ of pages around the second, one at a time, none asked for before."""

    def pages(first: int) -> list[str]:
        below = [EVENTS - PAGE_ROWS * first - step for step in range(200)]
        return [f"/v1/ledger/events?page_token={token_below(seal, mirror, seq)}" for seq in below]

    def seconds(targets: list[str]) -> float:
        return len(targets) / asyncio.run(load(port, targets.__getitem__, connections=1, requests=len(targets))).rate

    near, deep = pages(1), pages(DEEP_PAGE)
    ratios = []
    for run in range(RUNS):
        part = slice(run * 40, run * 40 + 40)
        ratios.append(seconds(deep[part]) / seconds(near[part]))
    return statistics.median(ratios)


def main() -> None:
    kept = os.environ.get("MIRROR")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(kept) if kept else Path(folder) / "mirror.db"
        if not path.exists():
            make_mirror(path, EVENTS)
        rows = measure(path)
    for row in rows:
        print(f"{row['name']:60} {row['value']} {row['unit']}")
    print(write("reads", rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()

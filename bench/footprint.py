"""What a follower costs over 1,000,000 events: memory while it catches up, a restart after them, and being idle.

A chain as in bench/ingest; `gridlease indexer run` as anybody starts it, on a SQLite mirror.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bench.ingest.chain import filled_chain
from bench.record import write
from indexer.queries import Mirror
from protocol.errors import GridleaseError
from tests.support.anvil import Anvil

EVENTS: Final = 1_000_000
RESTARTS: Final = 5
IDLE_SECONDS: Final = 30
_MEBIBYTE: Final = 1 << 20
_LONGEST_SECONDS: Final = 3600.0
#: begins to follow when a line comes, with all that it imports there already
_WARM: Final = """
import sys
import psycopg
from indexer import follower, pool, queries, source, store, watch
from indexer.cli import run
from indexer.settings import IndexerSettings
IndexerSettings()
sys.stdin.readline()
run()
"""


class Peak:
    """The most memory that a process and what it started held at once, and each of them by itself."""

    def __init__(self) -> None:
        self.together = 0
        self.each: dict[int, int] = {}

    def look(self, process: psutil.Process) -> None:
        held = {}
        for one in (process, *process.children(recursive=True)):
            try:
                held[one.pid] = one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.together = max(self.together, sum(held.values()))
        for pid, size in held.items():
            self.each[pid] = max(self.each.get(pid, 0), size)


@contextmanager
def running(environment: dict[str, str], *command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def mirrored(url: str) -> int:
    """The newest block of a mirror; 0 before there is one."""
    try:
        mirror = Mirror(url)
    except GridleaseError:
        return 0
    try:
        return mirror.status().block_number
    except GridleaseError:
        return 0
    finally:
        mirror.close()


def await_block(url: str, number: int, look: Callable[[], None], pause: float) -> float:
    """Seconds until the mirror has the block."""
    begun = time.perf_counter()
    while mirrored(url) < number:
        if time.perf_counter() - begun > _LONGEST_SECONDS:
            raise SystemExit("the mirror does not get there: no figure")
        look()
        time.sleep(pause)
    return time.perf_counter() - begun


def await_whole(url: str) -> None:
    """Until no block lacks its transactions any more."""
    mirror = Mirror(url)
    while mirror.light_blocks():
        time.sleep(1)
    mirror.close()


def catch_up(node: Anvil, environment: dict[str, str], url: str, first_blocks: int) -> tuple[Peak, Peak]:
    """The peaks up to block `first_blocks`, and over everything."""
    first, all_of_it = Peak(), Peak()
    with running(environment, "-m", "gridlease.cli", "indexer", "run") as process:
        follower = psutil.Process(process.pid)
        await_block(url, first_blocks, lambda: first.look(follower), 0.05)
        await_block(url, node.rpc.block_number(), lambda: all_of_it.look(follower), 0.05)
    return first, all_of_it


def restart(node: Anvil, environment: dict[str, str], url: str) -> tuple[float, float]:
    """Seconds until a block that was mined meanwhile is mirrored: after imports, and from the start of a process."""
    node.mine()
    with running(environment, "-c", _WARM) as process:
        time.sleep(5)
        if process.stdin is None:
            raise AssertionError("it was asked for as a pipe")
        process.stdin.write(b"\n")
        process.stdin.flush()
        warm = await_block(url, node.rpc.block_number(), lambda: None, 0.005)
    node.mine()
    begun = time.perf_counter()
    with running(environment, "-m", "gridlease.cli", "indexer", "run"):
        await_block(url, node.rpc.block_number(), lambda: None, 0.005)
        cold = time.perf_counter() - begun
    return warm, cold


def idle(environment: dict[str, str], url: str, number: int) -> float:
    """Percent of a core while nothing happens."""
    with running(environment, "-m", "gridlease.cli", "indexer", "run") as process:
        follower = psutil.Process(process.pid)
        await_block(url, number, lambda: None, 0.05)
        await_whole(url)
        time.sleep(5)
        before = sum(follower.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)
        return 100 * (sum(follower.cpu_times()[:2]) - before) / IDLE_SECONDS


def measure(events: int, mode: str) -> list[dict[str, Any]]:
    """The rows of the results file."""
    with filled_chain(events) as (node, deployment), tempfile.TemporaryDirectory() as folder:
        file, url = Path(folder) / "deployment.json", f"sqlite:///{folder}/mirror.db"
        deployment.save(file)
        environment = os.environ | {
            "GRIDLEASE_RPC_URL": node.url,
            "GRIDLEASE_DEPLOYMENT": str(file),
            "GRIDLEASE_MIRROR_URL": url,
            "GRIDLEASE_BACKFILL": mode,
        }
        print(f"{node.rpc.block_number()} blocks are there", flush=True)
        first, all_of_it = catch_up(node, environment, url, node.rpc.block_number() // 10)
        restarts = [restart(node, environment, url) for _ in range(RESTARTS)]
        percent = idle(environment, url, node.rpc.block_number())
    return [
        _row(f"memory, {events // 10} events, {mode}", first.together / _MEBIBYTE, "MiB"),
        _row(f"memory, {events} events, {mode}", all_of_it.together / _MEBIBYTE, "MiB", 250),
        _row("of which the largest process", max(all_of_it.each.values()) / _MEBIBYTE, "MiB"),
        _row("restart to following, after imports", statistics.median(warm for warm, _ in restarts), "s", 1),
        _row("restart to following, from its start", statistics.median(cold for _, cold in restarts), "s", 3),
        _row("idle, of a core", percent, "%", 1),
    ]


def _row(name: str, value: float, unit: str, most: float | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": round(value, 2), "unit": unit}
    return row if most is None else row | {"goal": most, "holds": value <= most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--mode", choices=("whole", "receipts", "head"), default="head")
    options = parser.parse_args()
    rows = measure(options.events, options.mode)
    for row in rows:
        print(f"{row['name']:48} {row['value']} {row['unit']}")
    # A shorter chain is for trying it out.
    if options.events >= EVENTS:
        name = "footprint" if options.mode == "head" else f"footprint_{options.mode}"
        print(write(name, rows, f"python -m bench.footprint --mode {options.mode}"))


if __name__ == "__main__":
    main()

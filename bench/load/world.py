"""The house under load: every process as `gridlease dev` runs it, but with simulated agents; and what it uses."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from wasmtime import wat2wasm

from bench.load.agents import SimulatedAgent, Tally
from bench.load.calls import Calls
from gridlease.house import DemoProvider, House
from protocol.events import TOPICS, LeaseClosed, LeaseOpened
from protocol.hashing import from_hex, to_hex
from protocol.ids import lease_id
from protocol.rpc import Rpc

PROGRAMS: Final = ("node", "indexer", "serve", "worker")
MODULE: Final = b"\0asm\1\0\0\0"
"""For simulated agents, which never run it."""
NOTHING: Final = bytes(wat2wasm('(module (memory (export "memory") 1) (func (export "_start")))'))
REAL_AGENTS: Final = tuple(
    DemoProvider(name=f"agent-{zone}", zone=zone, rate=2_000_000) for zone in ("DE", "FR", "ES", "PL")
)
_JOIN_AT_ONCE: Final = 8
_TOPIC: Final = {kind: to_hex(topic) for topic, kind in TOPICS.items()}


@dataclass(slots=True)
class Opened:
    """Leases by when a block with their opening, and their closing, was first seen; monotonic seconds."""

    seen: dict[bytes, float] = field(default_factory=dict)
    closed: dict[bytes, float] = field(default_factory=dict)

    async def watch(self, house: House) -> None:
        """For ever."""
        with Rpc(house.rpc_url) as rpc:
            next_block = rpc.block_number() + 1
            while True:
                await asyncio.sleep(0.02)
                head = await asyncio.to_thread(rpc.block_number)
                if head < next_block:
                    continue
                now = time.monotonic()
                wanted = {
                    "address": house.ledger.ledger,
                    "fromBlock": hex(next_block),
                    "toBlock": hex(head),
                    "topics": [[_TOPIC[LeaseOpened], _TOPIC[LeaseClosed]]],
                }
                for log in await asyncio.to_thread(rpc.call, "eth_getLogs", wanted):
                    times = self.seen if log["topics"][0] == _TOPIC[LeaseOpened] else self.closed
                    times.setdefault(from_hex(log["topics"][1], 32), now)
                next_block = head + 1


@asynccontextmanager
async def agents_of(
    house: House, calls: Calls, number: int, *, capacity: int, poll_seconds: float
) -> AsyncIterator[Tally]:
    """Joined and at work until the block ends."""
    tally = Tally()
    agents = [SimulatedAgent(i, calls, house.ledger.domain, tally, capacity=capacity) for i in range(number)]
    gate = asyncio.Semaphore(_JOIN_AT_ONCE)

    async def join(agent: SimulatedAgent) -> None:
        async with gate:
            await agent.join()

    begun = time.monotonic()
    await asyncio.gather(*(join(agent) for agent in agents))
    print(f"{number} agents joined in {time.monotonic() - begun:.0f} s", flush=True)
    tasks = [asyncio.create_task(agent.serve(poll_seconds)) for agent in agents]
    try:
        yield tally
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def manifest(cid: str, salt: int) -> dict[str, Any]:
    """A job of one segment; each has another hash."""
    return {
        "version": 1,
        "runtime": "wasi-det/1",
        "module": cid,
        "arguments": [str(salt)],
        "limits": {"memory_bytes": 2**26, "work": 10**9, "wall_seconds": 60, "output_bytes": 0},
        "verify": "none",
    }


def lease_of(job: dict[str, Any]) -> bytes:
    """The id of the job's first lease."""
    return lease_id(from_hex(job["order"], 32), 0)


def served_by(house: House) -> dict[bytes, float]:
    """When the agents' logs say that a lease began to be served; monotonic seconds."""
    ahead = time.time() - time.monotonic()
    times: dict[bytes, float] = {}
    for provider in house.providers:
        for line in (house.folder / "logs" / f"agent-{provider.name}.log").read_text().splitlines():
            if '"lease.serving"' in line:
                entry = orjson.loads(line)
                at = datetime.fromisoformat(entry["timestamp"]).timestamp() - ahead
                times.setdefault(from_hex(entry["lease"], 32), at)
    return times


def resident_bytes(house: House) -> dict[str, int]:
    """Memory by program, its children included."""
    sums = {}
    for name in PROGRAMS:
        leader = house.supervisor.pid(name)
        sums[name] = sum(_resident(pid) for pid in _group(leader))
    return sums


def cpu_seconds(house: House, program: str) -> float:
    """That a program has used since it was started, its children that still run included."""
    ticks = 0
    for pid in _group(house.supervisor.pid(program)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")

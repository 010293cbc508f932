"""`python -m bench.load api|soak|agents|slow`; sizes by environment, as printed."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bench.load.agents import SimulatedAgent, Tally
from bench.load.calls import Answer, Calls
from bench.load.slow import slow
from bench.load.world import (
    MODULE,
    NOTHING,
    REAL_AGENTS,
    Opened,
    agents_of,
    cpu_seconds,
    lease_of,
    manifest,
    resident_bytes,
    served_by,
)
from bench.record import write
from gridlease.house import DEPOSIT_BASE, DemoProvider, House, dev_key
from protocol.chain import Chain
from protocol.hashing import Address, cid_of, sha256

AGENTS: Final = int(os.environ.get("AGENTS", "200"))
JOBS: Final = int(os.environ.get("JOBS", "10000"))
RATE: Final = int(os.environ.get("RATE", "100"))
SECONDS: Final = int(os.environ.get("SECONDS", "60"))
_CONNECTIONS: Final = 64
_PRICE: Final = "0.003"
_SETTLE_SECONDS: Final = 900
_PATIENCE_SECONDS: Final = 5
_STANDSTILL_SECONDS: Final = 30
_SEATS: Final = 50
"""Leases that an agent serves at once: a backlog waits for the market, not for a seat."""

_SHORT_MEMORY: Final = ("--prune-history", "256", "--transaction-block-keeper", "256")
"""A node that forgets states, transactions and traces older than that: anvil keeps all in memory, and is not measured.

Four times as far back as it calls a block final, and nobody in the house asks for anything older.
"""


class Buyer:
    """A program with an API key that buys jobs."""

    def __init__(self, house: House, calls: Calls, module: bytes = MODULE) -> None:
        self._key, self._calls, self._module = house.api_key, calls, module
        self._cid = cid_of(sha256(module))
        #: job id → (monotonic seconds of the answer, first lease)
        self.accepted: dict[str, tuple[float, bytes]] = {}
        self.seconds: list[float] = []
        self.refused: list[str] = []

    async def upload(self) -> None:
        await self._calls("PUT", f"/v1/files/{self._cid}", self._module, self._key)

    async def buy(self, number: int) -> None:
        body = {"manifest": manifest(self._cid, number), "max_price": _PRICE, "max_leases": 4}
        begun = time.monotonic()
        answer = await self._post(body, number)
        while answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            # As a program does that wants all of its jobs.
            await asyncio.sleep(answer.json()["retry_after_seconds"])
            answer = await self._post(body, number)
        ended = time.monotonic()
        self.seconds.append(ended - begun)
        if answer.status in (200, 202):
            job = answer.json()
            self.accepted[job["id"]] = (ended, lease_of(job))
        else:
            self.refused.append(answer.body[:300].decode(errors="replace"))

    async def _post(self, body: dict[str, Any], number: int) -> Answer:
        return await self._calls("POST", "/v1/jobs", body, self._key, Idempotency_Key=f"bench-{number}")

    async def jobs(self) -> AsyncIterator[dict[str, Any]]:
        """All that were accepted, newest first, by pages."""
        path = "/v1/jobs?limit=100"
        while True:
            page = (await self._calls("GET", path, token=self._key)).json()
            for job in page["data"]:
                if job["id"] in self.accepted:
                    yield job
            if not page["has_more"]:
                return
            path = f"/v1/jobs?limit=100&page_token={page['next_page_token']}"


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else float("inf")


async def steadily(buyer: Buyer, rate: int, seconds: int) -> None:
    """Jobs at a steady rate, whatever the market does: who waits does not hold up the next."""
    begun = time.monotonic()
    tasks = []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(buyer.buy(number)))
    await asyncio.gather(*tasks)


async def until_settled(buyer: Buyer, opened: Opened, tally: Tally) -> list[dict[str, Any]]:
    """All accepted jobs, once each is settled. The chain is watched, so that asking costs the market little."""
    begun = time.monotonic()
    while True:
        await _until_closed(buyer, opened, tally, begun)
        jobs = [job async for job in buyer.jobs()]
        left = [job for job in jobs if not _is_settled(job)]
        if not left and len(jobs) == len(buyer.accepted):
            return jobs
        if time.monotonic() - begun > _SETTLE_SECONDS:
            states = Counter(f"{job['state']}/{job['settlement']}" for job in left)
            raise SystemExit(f"no figure: {len(left)} jobs are not settled: {states}; refused: {tally.refused[-3:]}")
        await asyncio.sleep(_PATIENCE_SECONDS)


async def _until_closed(buyer: Buyer, opened: Opened, tally: Tally, begun: float) -> None:
    """Until each job's first lease is closed, or nothing is for so long that jobs have to be looked at."""
    wanted, said = {lease for _, lease in buyer.accepted.values()}, 0.0
    while wanted - opened.closed.keys():
        now = time.monotonic()
        newest = max([begun, *opened.seen.values(), *opened.closed.values()])
        if now - newest > _STANDSTILL_SECONDS or now - begun > _SETTLE_SECONDS:
            return
        if now - said > _PATIENCE_SECONDS:
            said = now
            print(
                f"  {now - begun:5.0f} s  opened {len(opened.seen)}, reported {tally.reported}, "
                f"countersigned {tally.countersigned}, closed {len(opened.closed)}",
                flush=True,
            )
        await asyncio.sleep(0.5)


def _is_settled(job: dict[str, Any]) -> bool:
    return job["state"] in ("succeeded", "failed", "canceled", "expired") and all(
        lease["state"] == "closed" for lease in job["leases"]
    )


async def api() -> list[dict[str, Any]]:
    """A steady rate with agents at work: how long a call takes, how soon its lease is mined."""
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder), buyers_first=True)
        try:
            house.open()
            calls, buying = Calls(house.agents_port, _CONNECTIONS), Calls(house.port, _CONNECTIONS)
            opened = Opened()
            async with agents_of(house, calls, AGENTS, capacity=200, poll_seconds=5) as tally:
                watching = asyncio.create_task(opened.watch(house))
                buyer = Buyer(house, buying)
                await buyer.upload()
                await steadily(buyer, RATE, SECONDS)
                print(f"{len(buyer.accepted)} accepted, {len(buyer.refused)} refused {buyer.refused[:2]}", flush=True)
                await until_settled(buyer, opened, tally)
                watching.cancel()
            waits = [opened.seen[lease] - at for at, lease in buyer.accepted.values() if lease in opened.seen]
        finally:
            house.close()
    lost = RATE * SECONDS - len(waits)
    p99, mined = percentile(buyer.seconds, 0.99), percentile(waits, 0.95)
    return [
        _row(f"POST /v1/jobs at {RATE}/s for {SECONDS} s: p99", p99 * 1000, "ms", goal=100, holds=p99 <= 0.1),
        _row("lost", lost, "jobs", goal=0, holds=lost == 0),
        _row("accepted → lease mined: p95", mined, "s", goal=2.5, holds=mined <= 2.5),
    ]


async def soak() -> list[dict[str, Any]]:
    """A backlog over many agents until all is settled, to the unit.

    The worker starts when all jobs wait, so that it is the market that is measured and not how fast a program buys.
    """
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder), node_options=_SHORT_MEMORY)
        try:
            house.open(with_worker=False)
            # Each provider has a connection of its own: who waits, waits at the market.
            calls, buying = Calls(house.port, max(_CONNECTIONS, AGENTS)), Calls(house.port, 16)
            opened = Opened()
            memory: list[dict[str, int]] = []
            capacity = max(_SEATS, -(-JOBS // AGENTS))
            async with agents_of(house, calls, AGENTS, capacity=capacity, poll_seconds=5) as tally:
                buyer = Buyer(house, buying)
                await buyer.upload()
                begun = time.monotonic()
                await _all(buyer)
                took = time.monotonic() - begun
                print(f"{len(buyer.accepted)} accepted in {took:.0f} s, refused: {buyer.refused[:2]}", flush=True)
                background = [asyncio.create_task(opened.watch(house))]
                await asyncio.to_thread(house.start_worker)
                background.append(asyncio.create_task(_sample(house, memory)))
                jobs = await until_settled(buyer, opened, tally)
                for task in background:
                    task.cancel()
            # What is let again later is no part of the backlog.
            times = sorted(opened.seen[lease] for _, lease in buyer.accepted.values() if lease in opened.seen)
            print(f"{len(opened.seen) - len(times)} leases were let again", flush=True)
            total, rate = max(opened.closed.values()) - begun, (len(times) - 1) / (times[-1] - times[0])
            worker = cpu_seconds(house, "worker") * 1000 / len(jobs)
            difference = _difference(house, sum(int(job["cost_base"]) for job in jobs))
        finally:
            house.close()
    growth = _growth(memory)
    return [
        _row(f"{JOBS} jobs over {AGENTS} agents: settled in", total, "s"),
        _row("leases opened a second while the backlog lasts", rate, "1/s", goal=100, holds=rate >= 100),
        _row(
            "jobs that were refused; each accepted one is settled",
            JOBS - len(buyer.accepted),
            "jobs",
            goal=0,
            holds=len(buyer.accepted) == JOBS,
        ),
        _row("money that is not accounted for", difference, "base units", goal=0, holds=difference == 0),
        _row("worker's CPU for a job, its start included", worker, "ms"),
        *[_row(f"memory of {name}, last quarter ÷ second", value, "×") for name, value in growth.items()],
    ]


async def agents() -> list[dict[str, Any]]:
    """Real agents, a job a second: how soon after its block a lease is served."""
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder), providers=REAL_AGENTS)
        try:
            house.open()
            await asyncio.to_thread(house.wait_for_providers, 60)
            calls, opened = Calls(house.port, _CONNECTIONS), Opened()
            watching = asyncio.create_task(opened.watch(house))
            buyer = Buyer(house, calls, NOTHING)
            await buyer.upload()
            await steadily(buyer, 1, SECONDS)
            await until_settled(buyer, opened, Tally())
            watching.cancel()
            served = served_by(house)
        finally:
            house.close()
    leases = [lease for _, lease in buyer.accepted.values() if lease in opened.seen and lease in served]
    p95 = percentile([max(0.0, served[lease] - opened.seen[lease]) for lease in leases], 0.95)
    return [
        _row(f"lease confirmed → first segment running, {len(REAL_AGENTS)} real agents: p95", p95, "s", 1.0, p95 <= 1),
        _row("lost", SECONDS - len(leases), "jobs", 0, len(leases) == SECONDS),
    ]


async def _all(buyer: Buyer) -> None:
    numbers = iter(range(JOBS))

    async def some() -> None:
        for number in numbers:
            await buyer.buy(number)

    await asyncio.gather(*(some() for _ in range(16)))


async def _sample(house: House, memory: list[dict[str, int]]) -> None:
    while True:
        memory.append(await asyncio.to_thread(resident_bytes, house))
        await asyncio.sleep(2)


def _growth(memory: list[dict[str, int]]) -> dict[str, float]:
    quarter = max(1, len(memory) // 4)
    second, last = memory[quarter : 2 * quarter] or memory, memory[-quarter:]
    return {
        name: (sum(row[name] for row in last) / len(last)) / (sum(row[name] for row in second) / len(second))
        for name in memory[0]
    }


def _difference(house: House, cost_base: int) -> int:
    """What was deposited − what all accounts hold now, and what the jobs cost − what the providers hold."""
    chain = Chain(house.rpc_url, house.ledger)
    ours = [SimulatedAgent(i, Calls(0, 1), house.ledger.domain, Tally(), capacity=1).key.address for i in range(AGENTS)]
    providers = sum(chain.account(Address(who)).free_base for who in ours)
    held = providers + sum(chain.account(dev_key(number).address).free_base for number in (1, 2))
    return abs(DEPOSIT_BASE - held) + abs(providers - cost_base)


def _house(
    folder: Path,
    providers: Sequence[DemoProvider] = (),
    node_options: Sequence[str] = (),
    *,
    buyers_first: bool = False,
) -> House:
    return House(
        folder / "house", port=18800, providers=providers, node_options=node_options, buyers_first=buyers_first
    )


def _row(name: str, value: float, unit: str, goal: float | None = None, holds: bool | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": unit}
    return row if goal is None else row | {"goal": goal, "holds": holds}


async def _until_told(kind: str) -> list[dict[str, Any]]:
    # The house's processes end with us by SIGTERM as by Ctrl-C: the task is cancelled, and closes it.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    return await {"api": api, "soak": soak, "agents": agents, "slow": slow}[kind]()


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "api"
    try:
        rows = asyncio.run(_until_told(kind))
    except KeyboardInterrupt:
        raise SystemExit("no figure: it was stopped") from None
    for row in rows:
        print(f"{row['name']:64} {row['value']} {row['unit']}")
    if os.environ.get("RECORD", "1") == "1":
        print(write(f"load-{kind}", rows, f"python -m bench.load {kind}"))


if __name__ == "__main__":
    main()

"""`python -m bench.load api|soak|agents|slow`; sizes by environment, as printed."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
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
        answer: Answer = await self._calls("POST", "/v1/jobs", body, self._key, Idempotency_Key=f"bench-{number}")
        ended = time.monotonic()
        self.seconds.append(ended - begun)
        if answer.status in (200, 202):
            job = answer.json()
            self.accepted[job["id"]] = (ended, lease_of(job))
        else:
            self.refused.append(answer.body[:300].decode(errors="replace"))

    async def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._calls("GET", f"/v1/jobs/{job_id}", token=self._key)).json()
        return found


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


async def until_settled(house: House, calls: Calls, buyer: Buyer, opened: Opened, tally: Tally) -> float:
    """Seconds until every accepted job is settled on chain."""
    begun = time.monotonic()
    left = list(buyer.accepted)
    while left:
        if time.monotonic() - begun > _SETTLE_SECONDS:
            states: dict[str, int] = {}
            for job_id in left[:200]:
                job = await buyer.job(job_id)
                key = f"{job['state']}/{job['settlement']}"
                states[key] = states.get(key, 0) + 1
            raise SystemExit(f"no figure: {len(left)} jobs are not settled: {states}; refused: {tally.refused[-3:]}")
        await asyncio.sleep(1)
        some = left[:50]
        done = await asyncio.gather(*(buyer.job(job_id) for job_id in some))
        finished = {job["id"] for job in done if _is_settled(job)}
        left = [job_id for job_id in left if job_id not in finished]
        if finished:
            continue
        print(
            f"  {time.monotonic() - begun:5.0f} s  not settled {len(left)}, opened {len(opened.seen)}, "
            f"reported {tally.reported}, countersigned {tally.countersigned}",
            flush=True,
        )
    return time.monotonic() - begun


def _is_settled(job: dict[str, Any]) -> bool:
    return job["state"] in ("succeeded", "failed", "canceled", "expired") and all(
        lease["state"] == "closed" for lease in job["leases"]
    )


async def api() -> list[dict[str, Any]]:
    """A steady rate with agents at work: how long a call takes, how soon its lease is mined."""
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder))
        try:
            house.open()
            calls, buying = Calls(house.port, _CONNECTIONS), Calls(house.port, _CONNECTIONS)
            opened = Opened()
            async with agents_of(house, calls, AGENTS, capacity=200, poll_seconds=5) as tally:
                watching = asyncio.create_task(opened.watch(house))
                buyer = Buyer(house, buying)
                await buyer.upload()
                await steadily(buyer, RATE, SECONDS)
                print(f"{len(buyer.accepted)} accepted, {len(buyer.refused)} refused {buyer.refused[:2]}", flush=True)
                await until_settled(house, calls, buyer, opened, tally)
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
    """A backlog over many agents until all is settled, to the unit."""
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder))
        try:
            house.open()
            calls, buying = Calls(house.port, _CONNECTIONS), Calls(house.port, 16)
            opened = Opened()
            memory: list[dict[str, int]] = []
            async with agents_of(house, calls, AGENTS, capacity=-(-JOBS // AGENTS), poll_seconds=5) as tally:
                background = [asyncio.create_task(opened.watch(house)), asyncio.create_task(_sample(house, memory))]
                buyer = Buyer(house, buying)
                await buyer.upload()
                begun = time.monotonic()
                await _all(buyer)
                print(f"{len(buyer.accepted)} accepted in {time.monotonic() - begun:.0f} s", flush=True)
                await until_settled(house, calls, buyer, opened, tally)
                total = time.monotonic() - begun
                for task in background:
                    task.cancel()
            times = sorted(opened.seen.values())
            rate = (len(times) - 1) / (times[-1] - times[0])
            difference = await _difference(house, buyer)
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
            await until_settled(house, calls, buyer, opened, Tally())
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


async def _difference(house: House, buyer: Buyer) -> int:
    """What was deposited − what all accounts hold now, and what the jobs cost − what the providers hold."""
    chain = Chain(house.rpc_url, house.ledger)
    ours = [SimulatedAgent(i, Calls(0, 1), house.ledger.domain, Tally(), capacity=1).key.address for i in range(AGENTS)]
    providers = sum(chain.account(Address(who)).free_base for who in ours)
    held = providers + sum(chain.account(dev_key(number).address).free_base for number in (1, 2))
    cost = 0
    for job_id in buyer.accepted:
        cost += int((await buyer.job(job_id))["cost_base"])
    return abs(DEPOSIT_BASE - held) + abs(providers - cost)


def _house(folder: Path, providers: Sequence[DemoProvider] = ()) -> House:
    return House(folder / "house", port=18800, providers=providers)


def _row(name: str, value: float, unit: str, goal: float | None = None, holds: bool | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": unit}
    return row if goal is None else row | {"goal": goal, "holds": holds}


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "api"
    rows = asyncio.run({"api": api, "soak": soak, "agents": agents, "slow": slow}[kind]())
    for row in rows:
        print(f"{row['name']:64} {row['value']} {row['unit']}")
    if os.environ.get("RECORD", "1") == "1":
        print(write(f"load-{kind}", rows, f"python -m bench.load {kind}"))


if __name__ == "__main__":
    main()

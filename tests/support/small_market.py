"""A market without agents: a real node, mirror, database and broker, a server and workers in processes of their own.

One offer is in the book and one funded buyer has an API key: whoever posts a job waits for a worker to open its lease.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import select

from backend.market import Market
from backend.operations import ticks
from backend.settings import MarketSettings
from backend.submission.tables import IntentRow, TransactionRow
from backend.works import STEP
from client.account import Keys, sign_in, with_session
from client.sdk import Client
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.hashing import from_hex, to_hex
from protocol.messages import sign, to_json
from protocol.wire.jobs import Job
from tests.support.anvil import MATCHER, free_port
from tests.support.builders import make_offer
from tests.support.followed import Followed
from tests.support.ledger_world import DOLLAR, LedgerWorld
from tests.support.stories import training
from tests.support.waiting import wait_until


@dataclass(slots=True)
class SmallMarket:
    """One of them, as long as the test lasts."""

    folder: Path
    world: LedgerWorld
    environment: dict[str, str]
    market: Market
    url: str
    client: Client
    #: the buyer's
    api_key: str = ""
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_server(self) -> "subprocess.Popen[bytes]":
        """Returns when it answers; its log is serve.log."""
        server = self._start("serve", "serve")
        wait_until(lambda: _answers(f"{self.url}/v1/chain") or server.poll() is not None, 40)
        assert server.poll() is None, self.log("serve")
        return server

    def start_worker(self, node: str) -> "subprocess.Popen[bytes]":
        """With a beat of its own; its log is `<node>.log`."""
        return self._start(node, "worker", "--node", node)

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gridlease.cli", *arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def log(self, node: str) -> str:
        return (self.folder / f"{node}.log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Every line of all logs that tells of such an event."""
        lines = [line for path in self.folder.glob("*.log") for line in path.read_text().splitlines()]
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in told if event["event"] == name]

    def post(self, **terms: Any) -> Job:
        """A job that the offer meets."""
        return self.client.submit(training(self.client), max_price="0.05", **terms)

    def leases(self, job: Job) -> list[LeaseRow]:
        """That the ledger opened for it, by the mirror."""
        return list(self.market.mirror.leases(order=from_hex(job.order, 32)))

    def opened(self, job: Job, seconds: float = 40) -> LeaseRow:
        """Its one lease, once it is open."""
        wait_until(lambda: bool(self.leases(job)), seconds)
        (lease,) = self.leases(job)
        return lease

    def openings(self, job: Job) -> list[TransactionRow]:
        """Transactions that were made to open the job's leases."""
        leases = [to_hex(lease.lease) for lease in self.leases(job)]
        with self.market.db.read() as session:
            intents = session.exec(select(IntentRow).where(IntentRow.kind == "open")).all()
            wanted = {intent.transaction_id for intent in intents if intent.subject in leases}
            return [row for row in session.exec(select(TransactionRow)).all() if row.id in wanted]

    def step_age_ms(self) -> int | None:
        with self.market.db.read() as session:
            return ticks.age_ms(session, self.market.db, STEP.name)

    def kill_all(self) -> None:
        for process in self.processes:
            # Beats that a worker started are in its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


@contextmanager
def small_market(folder: Path, world: LedgerWorld, market_url: str, broker_url: str) -> Iterator[SmallMarket]:
    """Everything but the workers runs; gone afterwards."""
    followed = Followed(folder / "mirror", world.deployment, world.rpc, poll_seconds=0.05)
    key_file = folder / "submission.key"
    key_file.write_text(to_hex(MATCHER.secret()))
    port = free_port()
    settings = {
        "rpc_url": world.rpc.url,
        "deployment": str(followed.settings.deployment),
        "market_url": market_url,
        "mirror_url": followed.settings.mirror_url,
        "files_dir": str(folder / "files"),
        "broker_url": broker_url,
        "seed_file": str(folder / "market.seed"),
        "submission_key_file": str(key_file),
        "port": str(port),
        # Nobody serves the offer, and nobody is missed.
        "silence_seconds": "3600",
    }
    market = Market(MarketSettings(**settings))  # type: ignore[arg-type]
    market.db.migrate()
    stop = threading.Event()
    following = threading.Thread(target=followed.follower.run, args=(stop,), daemon=True)
    following.start()
    url = f"http://127.0.0.1:{port}"
    environment = {f"GRIDLEASE_{name}".upper(): value for name, value in settings.items()}
    environment |= {"GRIDLEASE_SWEEP_SECONDS": "2", "GRIDLEASE_LOG_LEVEL": "debug"}
    made = SmallMarket(folder, world, environment, market, url, Client(url))
    try:
        made.start_server()
        _offer(made)
        made.client.close()
        made.api_key = _buyer(made)
        made.client = Client(url, made.api_key)
        yield made
    finally:
        made.kill_all()
        made.client.close()
        stop.set()
        following.join(20)
        followed.close()
        market.mirror.close()
        market.db.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def _offer(made: SmallMarket) -> None:
    """Room for all jobs of a test."""
    provider, domain = made.world.providers[0], made.world.deployment.domain
    offer = make_offer(provider=provider.address, capacity=100, expiry=now_time() + 86_400, salt=now_time())
    session = sign_in(made.client.http, provider, made.client.chain())
    body = {"offer": to_json(offer), "signature": to_hex(sign(domain, offer, provider))}
    headers = {"Authorization": f"Bearer {session.token}"}
    answer = httpx.post(f"{made.url}/v1/offers", json=body, headers=headers, timeout=10)
    assert answer.status_code == 201, answer.text


def _buyer(made: SmallMarket) -> str:
    """Its API key, whose delegate may commit what the tests buy."""
    with Client(made.url) as anonymous:
        signed_in = with_session(anonymous.http, sign_in(anonymous.http, made.world.buyer, anonymous.chain()))
        key = Keys(signed_in).create("test")
        signed_in.close()
    made.world.approve_delegate(key.delegate, 20 * DOLLAR)
    wait_until(lambda: bool(made.market.mirror.delegate(made.world.buyer.address, key.delegate)))
    return key.key

"""A whole market in one process: real node, contracts, mirror, API and agents; only the tick is a loop of a test."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from backend import step
from backend.app import create_app
from backend.market import Market
from backend.settings import MarketSettings
from client.account import Keys, sign_in, with_session
from client.sdk import Client
from protocol.chain import Chain
from protocol.hashing import Address, to_hex
from protocol.keys import LocalKey
from protocol.resources import Quantities
from provider.agent import Agent
from provider.market import HttpMarket
from provider.offers import StandingOffer
from provider.runtimes.model import Runtime
from provider.serving import Server
from provider.settings import AgentSettings, write_settings
from provider.visit import Site
from tests.support.anvil import BUYER, MATCHER, Anvil, free_port
from tests.support.followed import Followed
from tests.support.ledger_world import DOLLAR, LedgerWorld
from tests.support.migrated import migrate
from tests.support.provider_market import Crash, agent_values
from tests.support.stories import until

MEMORY_BYTES = 2**28
LANES = Quantities(cpu_eighths=16, memory_quarter_gib=1, disk_gib=1)


class MarketWorld:
    """The market of a new ledger, below one folder."""

    def __init__(self, folder: Path, node: Anvil, **settings: object) -> None:
        self.ledger = LedgerWorld.deploy(node)
        self.followed = Followed(folder / "mirror", self.ledger.deployment, node.rpc)
        (folder / "submission.key").write_text(to_hex(MATCHER.secret()))
        (folder / "submission.key").chmod(0o600)
        self.settings = MarketSettings(
            rpc_url=node.url,
            deployment=self.followed.settings.deployment,
            market_url=f"sqlite:///{folder}/market.db",
            mirror_url=self.followed.settings.mirror_url,
            files_dir=folder / "files",
            seed_file=folder / "market.seed",
            submission_key_file=folder / "submission.key",
            port=free_port(),
            **settings,  # type: ignore[arg-type]
        )
        self.market = Market(self.settings)
        migrate(self.market.db)
        self._folder = folder
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        config = uvicorn.Config(
            create_app(self.market), host="127.0.0.1", port=self.settings.port, log_level="warning", access_log=False
        )
        self._server = uvicorn.Server(config)
        node.rpc.call("evm_setAutomine", False)
        node.rpc.call("evm_setIntervalMining", 1)
        self._run(self._server.run)
        self._run(self._tick)

    @property
    def url(self) -> str:
        return self.settings.origin

    def wait_until_served(self) -> None:
        """Returns when the API answers."""
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the API did not start"
            time.sleep(0.02)

    def buyer(self, cap_base: int = 90 * DOLLAR) -> Client:
        """A client whose key may spend so much of the buyer's deposit."""
        with Client(self.url) as market:
            chain = market.chain()
            signed_in = with_session(market.http, sign_in(market.http, BUYER, chain))
            made = Keys(signed_in).create("buyer")
            signed_in.close()
        self.ledger.approve_delegate(made.delegate, cap_base)
        delegate = Address(made.delegate)
        until(lambda: self.followed.mirror.delegate(BUYER.address, delegate) is not None, 20, "the delegate's cap")
        return Client(self.url, made.key)

    def join(self, zone: str, runtime: Runtime, *, rate: int) -> LocalKey:
        """An agent that serves until the world closes, or until it crashes."""
        key = LocalKey.derive(bytes(32), f"provider in {zone}")
        folder = self._folder / f"agent-{zone}"
        folder.mkdir()
        deployment = self.ledger.deployment
        changed = {"market_url": self.url, "zone": zone, "rate": rate, "ledger": deployment.ledger}
        write_settings(
            folder,
            agent_values(folder)
            | changed
            | {"rpc_url": self.ledger.node.url, "name": zone, "notice": 10, "heartbeat_seconds": 1.0},
        )
        settings = AgentSettings.load(folder)
        market = HttpMarket(self.url, key)
        chain = Chain(self.ledger.node.url, deployment)
        site = Site(
            key=key,
            domain=deployment.domain,
            ledger=chain,
            market=market,
            runtimes={runtime.id: runtime},
            memory_bytes=MEMORY_BYTES,
        )
        offer = StandingOffer(settings, key, deployment.domain, market, LANES)
        agent = Agent(
            settings=settings,
            me=key.address,
            ledger=chain,
            market=market,
            offer=offer,
            server=Server(site, folder / "leases"),
            stopping=self._stopping,
        )

        def serve() -> None:
            # What a crash leaves is silence.
            with suppress(Crash):
                agent.run()

        self._run(serve)
        return key

    def close(self) -> None:
        self._stopping.set()
        self._server.should_exit = True
        for thread in self._threads:
            thread.join(timeout=10)
        self.followed.close()

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _tick(self) -> None:
        while not self._stopping.wait(0.1):
            try:
                self.followed.catch_up()
                step.run(self.market)
            except Exception as error:  # noqa: BLE001 - the test shows it
                self.failures.append(error)


@contextmanager
def running_market_world(folder: Path, **settings: object) -> Iterator[MarketWorld]:
    """A market with blocks each second, gone at the end."""
    node = Anvil().start()
    try:
        world = MarketWorld(folder, node, **settings)
        try:
            world.wait_until_served()
            yield world
        finally:
            world.close()
    finally:
        node.stop()

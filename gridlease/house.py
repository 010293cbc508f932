"""The whole system on one machine: node, ledger, indexer, market, worker, two providers in two zones, a funded buyer.

A development house: its chain is a local anvil with well-known keys, made anew at each start.
"""

import fcntl
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx
from eth_account import Account

from client.account import Keys, sign_in, with_session
from client.funds import Funds
from client.sdk import Client
from gridlease.deploy import deploy_ledger
from gridlease.supervisor import ProcessFailed, Program, Supervisor
from protocol.clock import now_time
from protocol.deployment import Deployment
from protocol.errors import DeploymentMissing, GridleaseError, NodeUnavailable
from protocol.hashing import checksum_address, to_hex
from protocol.keys import LocalKey
from protocol.rpc import Rpc

DEV_CHAIN_ID: Final = 31337
BLOCK_SECONDS: Final = 1
_MNEMONIC: Final = "test test test test test test test test test test test junk"
DEPOSIT_BASE: Final = 100 * 10**6
"""What the demo buyer brings."""
_CAP_BASE: Final = 50 * 10**6
_CAP_SECONDS: Final = 30 * 24 * 3600
_PORT: Final = 8700
_MARK: Final = ".gridlease-house"
_BUYERS: Final = "serve"
"""The server that buyers call."""
_YIELDS: Final = "5"
"""Niceness: a third of the time where cores are short."""
"""The file that says that a folder is a house's own, and whose lock says that the house is lived in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoProvider:
    """A provider agent of the house."""

    name: str
    zone: str
    #: pico-dollars per 10⁶ work
    rate: int


PROVIDERS: Final = (
    DemoProvider(name="solar-barn", zone="DE", rate=2_400_000),
    DemoProvider(name="campus-night", zone="FR", rate=2_600_000),
)


class ToolMissing(GridleaseError):
    """A tool that `make setup` installs is not there."""

    code = "tool_missing"


class FolderTaken(GridleaseError):
    """The folder is not ours to empty."""

    code = "folder_taken"


def dev_key(index: int) -> LocalKey:
    """One of anvil's well-known accounts: 0 deploys, 1 submits, 2 buys. Never use them on another chain."""
    Account.enable_unaudited_hdwallet_features()
    return LocalKey(bytes(Account.from_mnemonic(_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key))


def anvil_path() -> str:
    """The node's binary from contracts/node_modules, else from PATH; raises `ToolMissing`."""
    modules = Path(__file__).parent.parent / "contracts" / "node_modules" / "@foundry-rs"
    found = sorted(modules.glob("anvil-*/bin/anvil"))
    path = str(found[0]) if found else shutil.which("anvil")
    if path is None:
        raise ToolMissing("anvil is not installed; run `make setup`")
    return path


def free_port(wanted: int = 0) -> int:
    """`wanted` if it is free, else the next one that is; 0 takes any."""
    for port in range(wanted, wanted + 100) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ToolMissing(f"no free port from {wanted} to {wanted + 99}")


class House:
    """A running system below one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = _PORT,
        broker_url: str | None = None,
        providers: Sequence[DemoProvider] = PROVIDERS,
        settings: Mapping[str, str] | None = None,
        node_options: Sequence[str] = (),
        buyers_first: bool = False,
    ) -> None:
        """`buyers_first`: agents call a server of their own, and where cores are short all but the buyers' yields."""
        self.folder = folder.absolute()
        self.providers = providers
        self._settings = settings or {}
        self._node_options = node_options
        self.broker_url = broker_url or f"filesystem://{self.folder}/broker"
        self.supervisor = Supervisor(self.folder / "logs")
        self.port = free_port(port)
        self.rpc_url = f"http://127.0.0.1:{free_port()}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.agents_port = free_port(self.port + 1) if buyers_first else self.port
        # All of them alike: one that yields to the others too would keep the database's lock while they have the core.
        self._yielding = ("nice", "-n", _YIELDS) if buyers_first else ()
        self.api_key = ""
        self.deployment: Deployment | None = None
        self._mark: IO[str] | None = None

    @property
    def ledger(self) -> Deployment:
        if self.deployment is None:
            raise DeploymentMissing("this house, which was not opened")
        return self.deployment

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process of the house."""
        folder = self.folder
        return {
            "GRIDLEASE_RPC_URL": self.rpc_url,
            "GRIDLEASE_DEPLOYMENT": str(folder / "deployments" / f"{DEV_CHAIN_ID}.json"),
            "GRIDLEASE_MARKET_URL": f"sqlite:///{folder}/market.db",
            "GRIDLEASE_MIRROR_URL": f"sqlite:///{folder}/mirror.db",
            "GRIDLEASE_FILES_DIR": str(folder / "files"),
            "GRIDLEASE_BROKER_URL": self.broker_url,
            "GRIDLEASE_SEED_FILE": str(folder / "market.seed"),
            "GRIDLEASE_SUBMISSION_KEY_FILE": str(folder / "submission.key"),
            "GRIDLEASE_PORT": str(self.port),
            "GRIDLEASE_NOTICE_SECONDS": "30",
            # Whoever presses Ctrl-C waits for it, and an open page's stream does not end by itself.
            "GRIDLEASE_SHUTDOWN_SECONDS": "3",
            **self._settings,
        }

    def open(self, *, with_worker: bool = True) -> None:
        """Starts everything; the chain and all that follows from it are made anew. Raises `FolderTaken`."""
        self._clear()
        self.supervisor.start(self._node())
        with Rpc(self.rpc_url) as rpc:
            self.deployment = deploy_ledger(rpc, dev_key(0), DEV_CHAIN_ID, None)
            self.deployment.save(Path(self.environment["GRIDLEASE_DEPLOYMENT"]))
            _write_secret(self.folder / "submission.key", to_hex(dev_key(1).secret()))
            self.supervisor.start(self._command("indexer", "indexer", "run"))
            self.supervisor.start(self._command(_BUYERS, "serve", ready=self._serves))
            if self.agents_port != self.port:
                port = {"GRIDLEASE_PORT": str(self.agents_port)}
                self.supervisor.start(self._command("serve-agents", "serve", ready=self._serves_agents, settings=port))
            if with_worker:
                self.start_worker()
            self._fund_buyer(rpc)
            # Blocks came with each transaction so far; from here on they come like on a real chain.
            rpc.call("evm_setAutomine", False)
            rpc.call("evm_setIntervalMining", BLOCK_SECONDS)
        for provider in self.providers:
            self.supervisor.start(self._agent(provider))

    def start_worker(self) -> None:
        """For a house that was opened without: until now nothing that was bought has been let."""
        pulse = self.folder / "worker.pulse"
        self.supervisor.start(self._command("worker", "worker", "--pulse", str(pulse), pulse_file=pulse))

    def close(self) -> None:
        """Stops everything."""
        self.supervisor.stop()
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def client(self) -> Client:
        """The demo buyer's client."""
        return Client(self.url, self.api_key)

    def wait_for_providers(self, seconds: float = 30.0) -> None:
        """Returns when every provider has an offer in the book; raises `ProcessFailed`."""
        deadline = time.monotonic() + seconds
        while self.providers_online() < len(self.providers):
            if time.monotonic() > deadline:
                raise ProcessFailed(f"waited {seconds:.0f} s for all providers to offer; see {self.folder}/logs")
            time.sleep(0.1)

    def providers_online(self) -> int:
        """Offers in the book."""
        try:
            return len(httpx.get(f"{self.url}/v1/offers", timeout=5).json()["data"])
        except (httpx.HTTPError, KeyError, ValueError):
            return 0

    def _clear(self) -> None:
        """The databases mirror a chain that is gone; agents keep nothing that a new chain could honour.

        Nothing is removed that a house did not make, or that a running house uses.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark = self.folder / _MARK
        if not mark.exists() and any(self.folder.iterdir()):
            raise FolderTaken(
                f"{self.folder} holds files that are not ours; remove them, or name another folder by --data-dir"
            )
        self._mark = mark.open("a")
        try:
            fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderTaken(f"{self.folder} is in use; stop what runs there, or name another --data-dir") from None
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != mark:
                entry.unlink()

    def _node(self) -> Program:
        port = self.rpc_url.rpartition(":")[2]
        arguments = (anvil_path(), "--port", port, "--chain-id", str(DEV_CHAIN_ID), "--mnemonic", _MNEMONIC, "--silent")
        whole = (*self._yielding, *arguments, *self._node_options)
        return Program(name="node", arguments=whole, ready=self._mines, restart=False)

    def _mines(self) -> bool:
        try:
            with Rpc(self.rpc_url, timeout_seconds=2) as rpc:
                return rpc.chain_id() == DEV_CHAIN_ID
        except NodeUnavailable:
            return False

    def _serves(self) -> bool:
        return _answers(self.port)

    def _serves_agents(self) -> bool:
        return _answers(self.agents_port)

    def _command(
        self,
        name: str,
        *arguments: str,
        ready: object = None,
        pulse_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Program:
        check = ready if callable(ready) else (lambda: True)
        return Program(
            name=name,
            arguments=(*(() if name == _BUYERS else self._yielding), sys.executable, "-m", "gridlease.cli", *arguments),
            environment={**self.environment, **(settings or {})},
            ready=check,
            pulse_file=pulse_file,
        )

    def _agent(self, provider: DemoProvider) -> Program:
        folder = self.folder / "agents" / provider.name
        market = f"http://127.0.0.1:{self.agents_port}"
        arguments = ("provider", "join", market, "--name", provider.name, "--zone", provider.zone)
        options = ("--rate", str(provider.rate), "--data-dir", str(folder), "--rpc", self.rpc_url, "--yes", "--serve")
        return self._command(f"agent-{provider.name}", *arguments, *options)

    def _fund_buyer(self, rpc: Rpc) -> None:
        """What a buyer does once: test dollars, a deposit, an API key, and a cap for its delegate."""
        wallet = dev_key(2)
        with Client(self.url) as market:
            chain = market.chain()
            funds = Funds(chain, wallet, rpc)
            funds.mint(10 * DEPOSIT_BASE)
            funds.deposit(DEPOSIT_BASE)
            session = sign_in(market.http, wallet, chain)
            signed_in = with_session(market.http, session)
            made = Keys(signed_in).create("demo")
            signed_in.close()
            funds.approve_delegate(checksum_address(made.delegate), _CAP_BASE, now_time() + _CAP_SECONDS)
            self.api_key = made.key
        _write_secret(self.folder / "api.key", self.api_key)


def _answers(port: int) -> bool:
    try:
        # /v1/chain reads the mirror too, so the indexer has begun.
        return httpx.get(f"http://127.0.0.1:{port}/v1/chain", timeout=2).is_success
    except httpx.HTTPError:
        return False


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret + "\n")

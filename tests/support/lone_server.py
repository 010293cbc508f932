"""`gridlease serve` in a process of its own over a market without a chain: what whoever reaches the port meets."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.accounts_market import MarketWorld, market_world
from tests.support.anvil import free_port, running_anvil
from tests.support.stored_mirror import DEPLOYMENT
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class LoneServer:
    """The server; `world` reads and writes the same databases from here."""

    world: MarketWorld
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def resident_bytes(self) -> int:
        """Memory that the server holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """Sockets and files that the server holds open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def lone_server(folder: Path, **changes: Any) -> Iterator[LoneServer]:
    """A market below a folder, and a node that has no ledger; `changes` are settings of the server's."""
    with running_anvil("--chain-id", str(DEPLOYMENT.chain_id)) as node:
        port = free_port()
        # Counting is tested elsewhere: here one address asks as fast as it can.
        often: dict[str, Any] = {f"{who}_per_minute": 10**7 for who in _COUNTED}
        # Nobody serves the offers, and nobody is missed.
        settled: dict[str, Any] = {"silence_seconds": 86_400, **often, **changes}
        with market_world(folder, rpc_url=node.rpc.url, port=port, **settled) as world:
            settings = world.market.settings.model_dump(exclude_none=True, exclude_defaults=True)
            # Nobody works here: a step would send transactions to a ledger that is not there.
            settings |= {"broker_url": f"filesystem://{folder}/broker", "sweep_seconds": 86_400, "log_format": "json"}
            environment = {f"GRIDLEASE_{name}".upper(): str(value) for name, value in settings.items()}
            log = folder / "serve.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "gridlease.cli", "serve"],
                    env=os.environ | environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            try:
                made = LoneServer(world, port, process, log)
                wait_until(lambda: _answers(made.url) or not made.is_alive(), 60)
                assert made.is_alive(), log.read_text()
                yield made
            finally:
                process.kill()
                process.wait()


_COUNTED = ("credential_reads", "credential_writes", "address_reads", "address_writes", "address_sign_ins")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/chain", timeout=5).is_success
    except httpx.HTTPError:
        return False

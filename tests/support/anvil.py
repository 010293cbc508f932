"""A real EVM node for tests: anvil on a free port, gone when the test is."""

import atexit
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from protocol.errors import ChainError
from protocol.keys import LocalKey
from protocol.rpc import Rpc

ANVIL: Final = next(
    iter(sorted((Path(__file__).parents[2] / "contracts/node_modules/@foundry-rs").glob("anvil-*/bin/anvil"))),
    Path("anvil"),
)
CHAIN_ID: Final = 31337
#: anvil's first accounts, of its well-known mnemonic: deployer and faucet, submission key, buyer
DEPLOYER: Final = LocalKey(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))
MATCHER: Final = LocalKey(bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"))
BUYER: Final = LocalKey(bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"))


class Anvil:
    """One node; `stop` and `start` again to test what a restart does."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.rpc = Rpc(self.url)

    def start(self) -> "Anvil":
        # Inherited pipes would keep a test run's reader waiting for a node that outlived it.
        self._process = subprocess.Popen(
            [str(ANVIL), "--port", str(self.port), "--silent", *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self.stop)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                self.rpc.block_number()
            except ChainError:
                time.sleep(0.02)
            else:
                return self
        raise RuntimeError(f"anvil does not answer at {self.url}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        atexit.unregister(self.stop)

    def terminate(self) -> None:
        """Stops it so that it can write its `--state`, which a kill would lose."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def mine(self, blocks: int = 1) -> None:
        self.rpc.call("anvil_mine", hex(blocks))

    def reorg(self, depth: int) -> None:
        """Replaces the newest `depth` blocks by empty ones; anvil drops their transactions for good."""
        self.rpc.call("anvil_reorg", depth, [])

    def advance_time(self, seconds: int) -> None:
        """Mines one block that is `seconds` later."""
        self.rpc.call("evm_increaseTime", seconds)
        self.mine()

    def mine_at(self, timestamp: int) -> None:
        """Mines one block whose time is `timestamp`, in unix seconds."""
        self.rpc.call("evm_setNextBlockTimestamp", timestamp)
        self.mine()

    def code(self, address: str) -> str:
        return str(self.rpc.call("eth_getCode", address, "latest"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_anvil() -> None:
    """Skips by name on a machine without it; `make setup` installs it."""
    if not ANVIL.exists():
        pytest.skip("anvil is missing: run `make setup`")


@contextmanager
def running_anvil(*options: str) -> Iterator[Anvil]:
    require_anvil()
    node = Anvil(*options)
    try:
        yield node.start()
    finally:
        node.rpc.close()
        node.stop()

"""The chain that is ingested: one local node with `EVENTS` events of LeaseFeed over `BLOCKS` blocks."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from protocol.deployment import Deployment
from protocol.hashing import checksum_address, keccak256, to_hex
from protocol.rpc import Rpc
from tests.support.anvil import CHAIN_ID, DEPLOYER, Anvil

CONTRACTS: Final = Path(__file__).parents[2] / "contracts"
PER_TRANSACTION: Final = 4
PER_BLOCK: Final = 25


@contextmanager
def filled_chain(events: int, per_block: int = PER_BLOCK) -> Iterator[tuple[Anvil, Deployment]]:
    """A node with the events, in blocks of `per_block` transactions; the deployment names the feed as the ledger."""
    node = Anvil("--no-mining", "--gas-limit", "300000000", "--order", "fifo", "--preserve-historical-states")
    node.start()
    try:
        yield node, _fill(node.rpc, events, per_block)
    finally:
        node.stop()


def _fill(rpc: Rpc, events: int, per_block: int) -> Deployment:
    sender = DEPLOYER.address
    created = rpc.call("eth_sendTransaction", {"from": sender, "data": _bytecode(), "gas": hex(5_000_000)})
    rpc.call("evm_mine")
    feed = rpc.call("eth_getTransactionReceipt", created)["contractAddress"]
    call = {"from": sender, "to": feed}
    fund = {**call, "data": _calldata("fund(uint256)", 10**15), "gas": hex(3_000_000)}
    opening = {**call, "data": _calldata("open(uint256)", PER_TRANSACTION), "gas": hex(200_000)}
    rpc.batch([("eth_sendTransaction", [fund]), ("evm_mine", [])])
    nonce = 2
    for _ in range(events // (PER_TRANSACTION * per_block)):
        calls = [("eth_sendTransaction", [{**opening, "nonce": hex(nonce + place)}]) for place in range(per_block)]
        rpc.batch([*calls, ("evm_mine", [])])
        nonce += per_block
    genesis = rpc.call("eth_getBlockByNumber", "0x0", False)["hash"]
    return Deployment(
        chain_id=CHAIN_ID,
        ledger=checksum_address(feed),
        # No token moves here: any other address will do.
        token=checksum_address(keccak256(b"no token")[:20]),
        registry=checksum_address(keccak256(b"no registry")[:20]),
        court=checksum_address(keccak256(b"no court")[:20]),
        deploy_block=1,
        genesis_hash=genesis,
        min_notice=600,
        abi_hash="",
    )


def _bytecode() -> str:
    """Of contracts/test/bench/LeaseFeed.sol, built first."""
    subprocess.run(
        ["tools/foundry", "forge", "build", "--quiet", "test/bench/LeaseFeed.sol"], cwd=CONTRACTS, check=True
    )
    built = json.loads((CONTRACTS / "out/LeaseFeed.sol/LeaseFeed.json").read_text())
    return str(built["bytecode"]["object"])


def _calldata(signature: str, argument: int) -> str:
    return to_hex(keccak256(signature.encode())[:4] + argument.to_bytes(32, "big"))

"""Writes tests/vectors/proof.json: one real payment in a block of 20 transactions, for every verifier that we ship.

`python -m tests.support.proof_vector` makes a new one; the old one must keep verifying, so replace it only with the
format. `make vectors` then says what it must verify to.
"""

import tempfile
from pathlib import Path
from typing import Final

from indexer.follower import Follower
from indexer.queries import Mirror
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_writer
from protocol.calls import encode_call, sign_transaction
from protocol.hashing import to_hex
from tests.support.anvil import CHAIN_ID, DEPLOYER, running_anvil
from tests.support.ledger_world import LedgerWorld

VECTORS: Final = Path(__file__).parents[1] / "vectors"


def make(folder: Path) -> bytes:
    """The bundle."""
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        (leased,) = world.open()
        settings = IndexerSettings(mirror_url=f"sqlite:///{folder}/mirror.db")
        crowd(world, 19)
        world.redeem((leased, 123_456))
        follower = Follower(
            settings,
            world.deployment,
            Source(node.rpc, Contracts.of(world.deployment), 64),
            open_writer(settings.mirror_url),
        )
        follower.prepare()
        follower.catch_up()
        mirror = Mirror(settings.mirror_url)
        payment = mirror.payments(lease=leased.id)[0]
        return mirror.proof(payment.tx_hash, payment.log_index)


def crowd(world: LedgerWorld, size: int) -> None:
    """Puts `size` mints into the block of the next transaction, by stopping the clock until that one is there."""
    rpc, token = world.rpc, world.deployment.token
    rpc.call("evm_setAutomine", False)
    nonce = int(rpc.call("eth_getTransactionCount", DEPLOYER.address, "latest"), 16)
    for number in range(size):
        raw, _ = sign_transaction(
            DEPLOYER,
            chain_id=CHAIN_ID,
            nonce=nonce + number,
            to=token,
            data=encode_call("TestDollar", "mint", world.buyer.address, 1),
            gas=100_000,
            max_fee_wei=10**11,
            priority_fee_wei=2 * 10**9,
        )
        rpc.call("eth_sendRawTransaction", to_hex(raw))
    rpc.call("evm_setIntervalMining", 1)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        (VECTORS / "proof.json").write_bytes(make(Path(temporary)))

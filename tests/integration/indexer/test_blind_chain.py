"""A chain whose header blooms are empty is mirrored by the receipts of its blocks."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from indexer.queries import Mirror
from tests.support.anvil import running_anvil
from tests.support.blind_node import BlindNode
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node

STRANGER = "0x" + "51" * 20


def test_a_chain_without_blooms_is_followed_and_verified(tmp_path: Path, database: Database) -> None:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        world.story()
        transfer = {"from": world.rpc.call("eth_accounts")[0], "to": STRANGER, "value": "0x1"}
        foreign = world.rpc.call("eth_sendTransaction", transfer)
        wait_until(lambda: world.rpc.call("eth_getTransactionReceipt", foreign) is not None)
        number = int(world.rpc.call("eth_getTransactionReceipt", foreign)["blockNumber"], 16)
        node.mine(2)
        sighted = Followed(tmp_path / "sighted", world.deployment, world.rpc, database)
        deployment = dataclasses.replace(world.deployment, complete_blooms=False)
        blind = Followed(tmp_path / "blind", deployment, BlindNode(world.rpc.url), database)
        for followed in (sighted, blind):
            followed.catch_up()
            report = followed.verify()
            assert report.holds, report.checks
        assert _said(blind.mirror) == _said(sighted.mirror)
        assert (_method(sighted.mirror, number), _method(blind.mirror, number)) == ("bloom", "receipts")
        sighted.close()
        blind.close()


def _said(mirror: Mirror) -> list[tuple[Any, ...]]:
    return [(row.seq, row.kind, row.topics, row.data, row.tx_hash) for row in mirror.events(limit=1000)]


def _method(mirror: Mirror, number: int) -> str:
    """How a block was checked."""
    return next(row.method for row in mirror.coverage() if row.first_number <= number <= row.last_number)

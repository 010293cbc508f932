"""Catching up from far behind ends in the mirror that following block by block makes, whatever happens on the way."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.backfill.process import FetchProcess
from indexer.bundles.make import Bundles
from indexer.deepen import light_blocks
from indexer.errors import BadBlock
from indexer.follower import Follower
from indexer.indexes import Indexes
from indexer.source import Contracts, Source
from protocol.bundle import verify
from protocol.errors import NodeUnavailable, RpcRefused
from protocol.hashing import from_hex
from protocol.rpc import Rpc
from tests.faults.lying_node import LyingNode
from tests.support.anvil import running_anvil
from tests.support.databases import SQLITE, Database
from tests.support.followed import Followed, canonical
from tests.support.ledger_world import LedgerWorld

pytestmark = pytest.mark.node

MODES = ("receipts", "head")


@pytest.fixture(scope="module")
def world() -> Iterator[LedgerWorld]:
    """Some hundred blocks with something of everything."""
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        world.story()
        node.mine(150)
        world.deposit(3)
        node.mine(150)
        world.story()
        yield world


def followed(folder: Path, world: LedgerWorld, database: Database, **changes: object) -> Followed:
    return Followed(folder, world.deployment, world.rpc, database, **{"backfill": "receipts", **changes})


@pytest.mark.parametrize("mode", MODES)
def test_it_ends_in_the_same_mirror(world: LedgerWorld, tmp_path: Path, database: Database, mode: str) -> None:
    whole = followed(tmp_path / "whole", world, database, backfill="whole")
    whole.catch_up()
    quick = followed(tmp_path / "quick", world, database, backfill=mode)
    assert quick.follower.step()
    status, head = quick.mirror.status(), world.rpc.block_number()
    assert status.block_number == head
    assert status.proved_number == (head if mode == "head" else None)
    with quick.engine.connect() as connection:
        assert light_blocks(connection)
    # What is light is as true as what is whole, and reads can tell.
    assert quick.verify().holds
    transaction = quick.mirror.transactions(limit=1)[0]
    assert (transaction.sender, transaction.status, transaction.gas_used) == (None, None, None)
    assert quick.mirror.light_blocks() > 300
    quick.catch_up()
    assert quick.mirror.light_blocks() == 0
    assert Indexes(quick.engine).complete
    assert quick.verify().holds
    assert canonical(quick.rows()) == canonical(whole.rows())
    whole.close()
    quick.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_proof_of_an_event_in_a_light_block_asks_the_node(world: LedgerWorld, tmp_path: Path, mode: str) -> None:
    quick = followed(tmp_path, world, SQLITE, backfill=mode)
    quick.follower.step()
    event = quick.mirror.events(limit=1)[0]
    content = Bundles(quick.settings.mirror_url, world.rpc.url).event(event.tx_hash, event.log_index)
    assert verify(content, [event.block_hash], from_hex(world.deployment.ledger, 20))
    quick.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_on_the_way_loses_nothing(world: LedgerWorld, tmp_path: Path, database: Database, mode: str) -> None:
    quick = followed(tmp_path, world, database, backfill=mode, batch_blocks=40)
    numbers: list[int] = []

    def stop_after_some(number: int) -> None:
        numbers.append(number)
        if len(numbers) == 3:
            quick.follower._stop.set()

    quick.follower._progress = stop_after_some
    quick.follower.step()
    assert len(numbers) == 3
    assert quick.follower.cursor().number == numbers[-1] < world.rpc.block_number()
    again = followed(tmp_path, world, database, backfill=mode)
    again.catch_up()
    assert Indexes(again.engine).complete
    assert again.verify().holds
    quick.close()
    again.close()


def test_indexes_that_a_crash_left_out_are_made_before_blocks_are_added_one_by_one(
    world: LedgerWorld, tmp_path: Path, database: Database
) -> None:
    quick = followed(tmp_path, world, database, backfill="receipts", batch_blocks=40)
    quick.follower._progress = lambda _: quick.follower._stop.set()
    quick.follower.step()
    assert Indexes(quick.engine).complete is (database.name == "sqlite")
    again = followed(tmp_path, world, database, backfill="whole")
    again.follower.step()
    assert Indexes(again.engine).complete
    again.catch_up()
    assert again.verify().holds
    quick.close()
    again.close()


def test_a_fetching_process_that_dies_is_started_again(
    world: LedgerWorld, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = followed(tmp_path, world, database, batch_blocks=40)
    started: list[FetchProcess] = []
    real = FetchProcess.__init__

    def remember(process: FetchProcess, *arguments: Any) -> None:
        real(process, *arguments)
        started.append(process)
        if len(started) == 1:
            # Now, since later a pipe may hold all that it had to say.
            os.kill(process._process.pid, signal.SIGKILL)

    monkeypatch.setattr(FetchProcess, "__init__", remember)
    with pytest.raises(NodeUnavailable, match="started again"):
        quick.follower.step()
    quick.catch_up()
    assert len(started) == 2
    assert quick.verify().holds
    quick.close()


def test_nothing_is_left_running_after_an_end(
    world: LedgerWorld, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = followed(tmp_path, world, database, batch_blocks=40)
    started: list[FetchProcess] = []
    real = FetchProcess.__init__

    def remember(process: FetchProcess, *arguments: Any) -> None:
        real(process, *arguments)
        started.append(process)

    monkeypatch.setattr(FetchProcess, "__init__", remember)
    quick.follower._progress = lambda _: quick.follower._stop.set()
    quick.follower.step()
    assert [process._process.returncode is None for process in started] == [False]
    quick.close()


@pytest.fixture
def liar(world: LedgerWorld) -> Iterator[LyingNode]:
    with running_anvil() as other:
        node = LyingNode(world.rpc, other.rpc)
        yield node
        node.close()


def behind(liar: LyingNode, quick: Followed) -> Follower:
    source = Source(Rpc(liar.url), Contracts.of(quick.deployment), 64)
    return Follower(quick.settings, quick.deployment, source, quick.engine)


def test_a_node_without_old_state_is_followed_by_receipts(
    world: LedgerWorld, tmp_path: Path, database: Database, liar: LyingNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, real = world.rpc.block_number(), liar._ask

    def ask(rpc: Rpc, method: str, params: list[Any]) -> Any:
        if method == "eth_getProof" and params[2] != "latest" and int(params[2], 16) < head:
            return RpcRefused(method, -32000, "missing trie node")
        return real(rpc, method, params)

    monkeypatch.setattr(liar, "_ask", ask)
    quick = followed(tmp_path, world, database, backfill="head", batch_blocks=40)
    follower = behind(liar, quick)
    assert follower.step()
    assert follower.cursor().number is None
    assert follower.step()
    assert follower.cursor().number == head
    assert {row.method for row in quick.mirror.coverage()} == {"bloom", "receipts"}
    follower.close()
    quick.close()


def test_a_log_that_is_left_out_is_caught_before_anything_is_stored(
    world: LedgerWorld, tmp_path: Path, database: Database, liar: LyingNode
) -> None:
    quick = followed(tmp_path, world, database, backfill="head", batch_blocks=1000)

    def leave_one_out(method: str, params: list[Any], answer: Any, dice: Any) -> Any:
        return answer[:-1] if method == "eth_getLogs" and len(answer) > 1 else None

    liar._lie = leave_one_out
    liar._wait = 0
    follower = behind(liar, quick)
    with pytest.raises(BadBlock, match="ledger head"):
        follower.step()
    stored = follower.cursor().number or 0
    liar.be_honest()
    follower.catch_up()
    assert stored < world.rpc.block_number() == follower.cursor().number
    assert quick.verify().holds
    follower.close()
    quick.close()


def test_a_log_of_another_transaction_halts_the_mirror_when_its_block_becomes_whole(
    world: LedgerWorld, tmp_path: Path, database: Database, liar: LyingNode
) -> None:
    quick = followed(tmp_path, world, database, backfill="head")

    def move(method: str, params: list[Any], answer: Any, dice: Any) -> Any:
        if method != "eth_getLogs" or not answer:
            return None
        moved = answer[-1]["transactionHash"]
        for log in answer:
            # All of its logs: half a transaction would be noticed at once.
            if log["transactionHash"] == moved:
                log["transactionHash"] = "0x" + "ab" * 32
        return answer

    liar._lie = move
    liar._wait = 0
    follower = behind(liar, quick)
    follower.step()
    liar.be_honest()
    follower.catch_up()
    halted = follower.cursor().halted
    assert halted is not None
    assert "rebuild" in halted
    follower.close()
    quick.close()


def test_the_follower_runs_it_and_goes_on(world: LedgerWorld, tmp_path: Path, database: Database) -> None:
    quick = followed(tmp_path, world, database, rpc_ws_url="none")
    stop = threading.Event()
    thread = threading.Thread(target=quick.follower.run, args=(stop,))
    thread.start()
    try:
        world.node.mine(1)
        head = world.rpc.block_number()
        for _ in range(200):
            if quick.follower.cursor().proved_number == head:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        thread.join(30)
    assert quick.follower.cursor().proved_number == head
    quick.mirror.close()

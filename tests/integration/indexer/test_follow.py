"""Following a real node: reorgs, stale and lying nodes, restarts and kill -9 all end in mirror = chain."""

import copy
import dataclasses
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from indexer.errors import BadBlock, ForeignMirror, WrongGenesis
from indexer.follower import Follower
from indexer.source import Contracts, Source
from protocol.errors import BadProof, WrongChain
from protocol.hashing import to_hex
from protocol.rpc import Rpc
from tests.support.anvil import running_anvil
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import Leased, LedgerWorld
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node


@pytest.fixture
def fresh(tmp_path: Path, database: Database) -> Iterator[tuple[LedgerWorld, Followed]]:
    """A chain of its own, because the test replaces blocks."""
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        mirror = Followed(tmp_path, world.deployment, world.rpc, database)
        yield world, mirror
        mirror.close()


def test_after_reorgs_the_mirror_is_the_chain(fresh: tuple[LedgerWorld, Followed]) -> None:
    world, followed = fresh
    world.story()
    world.node.mine(8)
    followed.catch_up()
    for epoch, depth in enumerate((1, 2, 5, 12), start=1):
        world.deposit(depth)
        before = followed.catch_up()
        orphaned = followed.mirror.events(limit=1)[0]
        world.node.reorg(depth)
        after = followed.catch_up()
        assert after.reorg_epoch == epoch
        assert after.hash != before.hash
        assert followed.mirror.reorgs()[0].depth == depth
        # anvil drops the transactions of the blocks that it replaces.
        assert orphaned.tx_hash not in {row.tx_hash for row in followed.mirror.events(limit=200)}
        kept = followed.mirror.events(tx_hash=orphaned.tx_hash, canonical=False)
        assert [row.canonical for row in kept] == [False]
        report = followed.verify()
        assert report.holds, report.checks
        assert followed.mirror.status().proved_number == after.number


def test_a_reorg_while_nobody_looked_is_found_at_the_start(fresh: tuple[LedgerWorld, Followed]) -> None:
    world, followed = fresh
    world.story()
    followed.catch_up()
    world.node.reorg(6)
    world.deposit(5)
    world.node.mine(3)
    assert followed.catch_up().reorg_epoch == 1
    assert followed.verify().holds


def test_a_reorg_below_finality_halts_loudly_and_reads_go_on(fresh: tuple[LedgerWorld, Followed]) -> None:
    world, followed = fresh
    world.node.mine(90)
    world.story()
    cursor = followed.catch_up()
    assert cursor.finalized_number == 0 or cursor.finalized_number <= (cursor.number or 0) - 64
    followed.follower.step()
    final = followed.mirror.status().finalized_number
    assert final
    world.node.reorg((cursor.number or 0) - final + 3)
    halted = followed.catch_up()
    assert halted.halted is not None
    assert "rebuild" in halted.halted
    assert halted.hash == cursor.hash
    assert followed.mirror.status().halted == halted.halted
    assert followed.mirror.leases()
    world.node.mine()
    assert followed.catch_up().hash == cursor.hash


class ChangedRpc(Rpc):
    """A node behind somebody who changes its answers."""

    def __init__(self, url: str, change: Callable[[str, Sequence[Any], Any], Any]) -> None:
        super().__init__(url)
        self._change = change

    def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        asked = list(calls)
        return [
            self._change(method, params, copy.deepcopy(answer))
            for (method, params), answer in zip(asked, super().batch(asked), strict=True)
        ]


def follow_through(followed: Followed, change: Callable[[str, Sequence[Any], Any], Any]) -> Follower:
    rpc = ChangedRpc(followed.rpc.url, change)
    source = Source(rpc, Contracts.of(followed.deployment), followed.settings.finality_blocks)
    return Follower(followed.settings, followed.deployment, source, followed.engine)


def drop_log(receipts: Any, rng: random.Random) -> None:
    rng.choice([item for item in receipts if item["logs"]])["logs"].pop(0)


def change_data(receipts: Any, rng: random.Random) -> None:
    log = rng.choice([log for item in receipts for log in item["logs"]])
    log["data"] = log["data"][:-1] + ("0" if log["data"][-1] != "0" else "1")


def repeat_log(receipts: Any, rng: random.Random) -> None:
    item = rng.choice([item for item in receipts if item["logs"]])
    item["logs"].append(item["logs"][0])


def other_address(receipts: Any, rng: random.Random) -> None:
    rng.choice([log for item in receipts for log in item["logs"]])["address"] = "0x" + "11" * 20


def drop_receipt(receipts: Any, rng: random.Random) -> None:
    receipts.pop()


def fail_it(receipts: Any, rng: random.Random) -> None:
    receipts[0]["status"] = "0x0"


def no_logs(receipts: Any, rng: random.Random) -> None:
    for item in receipts:
        item["logs"] = []


def half_answer(receipts: Any, rng: random.Random) -> None:
    del receipts[0]["cumulativeGasUsed"]


LIES = [drop_log, change_data, repeat_log, other_address, drop_receipt, fail_it, no_logs, half_answer]


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_receipts_is_caught_before_commit(
    tmp_path: Path,
    world: LedgerWorld,
    leased: list[Leased],
    database: Database,
    lie: Callable[[Any, random.Random], None],
) -> None:
    followed = Followed(tmp_path, world.deployment, world.rpc, database)
    rng = random.Random(lie.__name__)

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if method == "eth_getBlockReceipts" and any(item["logs"] for item in answer):
            lie(answer, rng)
        return answer

    liar = follow_through(followed, change)
    with pytest.raises(BadBlock):
        liar.catch_up()
    assert followed.follower.cursor().number is None
    followed.catch_up()
    assert followed.verify().holds
    followed.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("receiptsRoot", "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
        ("logsBloom", "0x" + "00" * 256),
        ("transactions", []),
        ("timestamp", "0x1"),
        ("number", "0x3"),
        ("stateRoot", "0x" + "00" * 32),
        ("hash", "0x" + "00" * 32),
        ("parentHash", None),
    ],
)
def test_a_lie_about_a_block_is_caught_before_commit(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased], database: Database, field: str, value: Any
) -> None:
    followed = Followed(tmp_path, world.deployment, world.rpc, database)
    victim = hex(world.deployment.deploy_block + 4)

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == victim:
            answer[field] = value
        return answer

    with pytest.raises(BadBlock):
        follow_through(followed, change).catch_up()
    followed.close()


def test_receipts_of_another_block_are_refused(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased], database: Database
) -> None:
    followed = Followed(tmp_path, world.deployment, world.rpc, database)
    other = world.rpc.call("eth_getBlockReceipts", hex(world.deployment.deploy_block))

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        return other if method == "eth_getBlockReceipts" else answer

    with pytest.raises(BadBlock, match="receipts root"):
        follow_through(followed, change).catch_up()
    followed.close()


def test_a_false_head_proof_proves_nothing(
    tmp_path: Path, world: LedgerWorld, leased: list[Leased], database: Database
) -> None:
    followed = Followed(tmp_path, world.deployment, world.rpc, database)

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if method == "eth_getProof":
            answer["storageProof"][0]["proof"] = answer["storageProof"][0]["proof"][:-1]
        return answer

    with pytest.raises(BadProof):
        follow_through(followed, change).catch_up()
    assert followed.mirror.status().proved_number is None
    followed.catch_up()
    assert followed.mirror.status().proved_number is not None
    followed.close()


def test_a_node_that_is_behind_is_waited_for(followed: Followed) -> None:
    at_head = followed.follower.cursor()
    behind = (at_head.number or 0) - 3

    def change(method: str, params: Sequence[Any], answer: Any) -> Any:
        if params and params[0] == "latest":
            return followed.rpc.call("eth_getBlockByNumber", hex(behind), False)
        if params and isinstance(params[0], str) and params[0].startswith("0x") and int(params[0], 16) > behind:
            return None
        return answer

    assert follow_through(followed, change).catch_up() == at_head


def test_a_reset_dev_chain_is_refused_with_the_remedy(tmp_path: Path, world: LedgerWorld, database: Database) -> None:
    with running_anvil("--timestamp", "1600000000") as other:
        followed = Followed(tmp_path, world.deployment, other.rpc, database)
        with pytest.raises(WrongGenesis, match="gridlease deploy"):
            followed.follower.run(threading.Event())
        followed.close()
    with running_anvil("--chain-id", "1337") as other:
        followed = Followed(tmp_path, world.deployment, other.rpc, database)
        with pytest.raises(WrongChain):
            followed.follower.run(threading.Event())
        followed.close()


def test_a_mirror_of_another_ledger_is_refused(followed: Followed, tmp_path: Path) -> None:
    wrong = Followed(tmp_path / "other", followed.deployment, followed.rpc, followed.database)
    wrong.close()
    other = dataclasses.replace(followed.deployment, ledger=followed.deployment.token)
    source = Source(followed.rpc, Contracts.of(other), 64)
    with pytest.raises(ForeignMirror, match="rebuild"):
        Follower(followed.settings, other, source, followed.engine).prepare()


def process(followed: Followed, log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "GRIDLEASE_RPC_URL": followed.rpc.url,
        "GRIDLEASE_DEPLOYMENT": str(followed.settings.deployment),
        "GRIDLEASE_MIRROR_URL": followed.settings.mirror_url,
        "GRIDLEASE_BATCH_BLOCKS": "1",
        "PYTHONPATH": os.getcwd(),
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-c", "from indexer.cli import app; app(['run'])"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def test_kill_9_at_any_point_loses_and_doubles_nothing(fresh: tuple[LedgerWorld, Followed], tmp_path: Path) -> None:
    world, followed = fresh
    world.story()
    world.node.mine(60)
    rng = random.Random(9)
    log = tmp_path / "indexer.log"
    for _ in range(4):
        begun = followed.follower.cursor().number or 0
        running = process(followed, log)
        wait_until(lambda begun=begun: (followed.follower.cursor().number or 0) > begun)  # type: ignore[misc]
        time.sleep(rng.random() * 0.03)
        running.kill()
        running.wait()
        world.deposit(7)
        world.node.mine(20)
    running = process(followed, log)
    wait_until(lambda: followed.follower.cursor().number == world.rpc.block_number())
    wait_until(lambda: followed.follower.cursor().proved_number == world.rpc.block_number())
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0, log.read_text()
    report = followed.verify()
    assert report.holds, report.checks
    sequence = [row.seq for row in followed.mirror.events(limit=1000)]
    assert sequence == list(range(len(sequence), 0, -1))


def test_a_node_that_restarts_is_followed_again(tmp_path: Path, database: Database) -> None:
    state = tmp_path / "state.json"
    with running_anvil("--state", str(state), "--timestamp", "1700000000") as node:
        world = LedgerWorld.deploy(node)
        followed = Followed(tmp_path, world.deployment, world.rpc, database)
        stop = threading.Event()
        thread = threading.Thread(target=followed.follower.run, args=(stop,))
        thread.start()
        try:
            wait_until(lambda: followed.follower.cursor().number == world.rpc.block_number())
            node.terminate()
            time.sleep(0.3)
            node.start()
            world.deposit(3)
            number = world.rpc.block_number()
            wait_until(lambda: followed.follower.cursor().number == number)
        finally:
            stop.set()
            thread.join(10)
        assert followed.verify().holds
        followed.close()


def test_the_read_door_agrees_with_itself(followed: Followed, world: LedgerWorld, leased: list[Leased]) -> None:
    mirror = followed.mirror
    first, second, third = (mirror.lease(item.id) for item in leased)
    assert first is not None
    assert second is not None
    assert third is not None
    assert [first.state.name, second.state.name, third.state.name] == ["CLOSED", "CLOSED", "OPEN"]
    assert (first.paid_base, first.refunded_base) == (700_000, 500_000)
    assert sum(row.amount_base for row in mirror.payments(lease=first.lease)) == first.paid_base
    assert mirror.leases(order=first.order) == [first]
    assert {row.lease for row in mirror.leases(job=first.job)} == {item.id for item in leased}
    paged, before = [], None
    while page := mirror.leases(limit=1, before=before):
        paged += page
        before = (page[-1].opened_block, page[-1].opened_log_index)
    assert paged == mirror.leases()
    paged_events, place = [], None
    while events := mirror.events(limit=4, before=place):
        paged_events += events
        place = (events[-1].block_number, events[-1].log_index)
    assert paged_events == mirror.events(limit=1000)
    buyer = mirror.account(world.buyer.address)
    assert buyer.locked_base == third.locked_base - third.paid_base
    assert mirror.stats().events == len(paged_events)
    opened = mirror.transaction(first.opened_tx)
    assert opened is not None
    assert (opened.function, opened.status, opened.sender) == ("open", 1, world.matcher.address)
    assert opened.to == world.deployment.ledger
    on_chain = world.rpc.call("eth_getTransactionReceipt", to_hex(first.opened_tx))
    assert opened.gas_used == int(on_chain["gasUsed"], 16)
    assert mirror.events(account=world.providers[1].address)
    assert mirror.search(to_hex(first.lease)[:12])[0].id == to_hex(first.lease)
    assert mirror.provider(world.providers[0].address) in mirror.providers()
    assert mirror.block(mirror.status().block_hash) == mirror.blocks(limit=1)[0]


def test_every_type_of_transaction_is_rebuilt_to_its_root(fresh: tuple[LedgerWorld, Followed]) -> None:
    world, followed = fresh
    rpc, sender = world.rpc, world.matcher.address
    call = {"from": sender, "to": world.deployment.ledger, "data": "0x12345678", "gas": "0x186a0"}
    price = {"gasPrice": hex(10**11)}
    access = {"accessList": [{"address": world.deployment.token, "storageKeys": ["0x" + "01" * 32]}]}
    for more in (price, price | access, access):
        _mined(world, rpc.call("eth_sendTransaction", call | more))
    _mined(world, rpc.call("eth_sendTransaction", {"from": sender, "data": "0x00"}))
    _mined(world, rpc.call("eth_sendRawTransaction", to_hex(delegating(world))))
    block_types = {
        int(item["type"], 16)
        for number in range(rpc.block_number() + 1)
        for item in rpc.call("eth_getBlockByNumber", hex(number), True)["transactions"]
    }
    assert block_types == {0, 1, 2, 4}
    followed.catch_up()
    rows = followed.mirror.account_transactions(sender)
    # Failed calls are mirrored too; a transaction that has nothing to do with us is not.
    assert [(row.status, row.sender, row.to) for row in rows] == [(0, sender, world.deployment.ledger)] * 4
    assert followed.verify().holds


def _mined(world: LedgerWorld, tx_hash: str) -> None:
    """The node answers a send before its block is there."""
    wait_until(lambda: world.rpc.call("eth_getTransactionReceipt", tx_hash) is not None)


def delegating(world: LedgerWorld) -> bytes:
    """An EIP-7702 transaction that calls the ledger."""
    rpc, key = world.rpc, Account.from_key(world.matcher.secret())
    nonce = int(rpc.call("eth_getTransactionCount", key.address, "latest"), 16)
    authorization = key.sign_authorization({"chainId": 31337, "address": world.deployment.token, "nonce": nonce + 1})
    signed = key.sign_transaction(
        {
            "chainId": 31337,
            "nonce": nonce,
            "to": world.deployment.ledger,
            "value": 0,
            "gas": 200_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
            "data": "0x12345678",
            "accessList": [],
            "authorizationList": [authorization],
        }
    )
    return bytes(signed.raw_transaction)

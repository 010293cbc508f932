"""The Etherscan-compatible API beside a real node: what it says is what the node says of the same chain."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI

from explorer.app import mount
from explorer.settings import ExplorerSettings
from protocol.calls import encode_call
from protocol.hashing import Address, keccak256, to_hex
from protocol.rpc import Rpc
from tests.support.anvil import BUYER, CHAIN_ID, DEPLOYER, running_anvil
from tests.support.asgi_reader import Answer, read
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld

Json = dict[str, Any]

TRANSFER = to_hex(keccak256(b"Transfer(address,address,uint256)"))
#: what a node adds to the chain's facts, or what a header alone does not say
NOT_OURS = {"blockTimestamp", "totalDifficulty", "size", "withdrawals", "blobGasPrice", "blobGasUsed"}


class Script:
    """Somebody's script, and the node that it could have asked instead."""

    def __init__(self, app: FastAPI, world: LedgerWorld) -> None:
        self.app, self.world = app, world

    @property
    def rpc(self) -> Rpc:
        return self.world.rpc

    @property
    def ledger(self) -> Address:
        return self.world.deployment.ledger

    @property
    def token(self) -> Address:
        return self.world.deployment.token

    def answer(self, module: str, action: str, **asked: object) -> Answer:
        query = urlencode({"chainid": CHAIN_ID, "module": module, "action": action, "apikey": "any", **asked})
        return read(self.app, f"/v2/api?{query}")

    def ask(self, module: str, action: str, **asked: object) -> Any:
        """The result of a question that is answered."""
        body = self.answer(module, action, **asked).json()
        assert body.get("status", "1") == "1", body
        assert "error" not in body, body
        return body["result"]

    def numbers(self) -> range:
        return range(self.world.deployment.deploy_block, self.rpc.block_number() + 1)

    def node_blocks(self) -> list[Json]:
        calls = [("eth_getBlockByNumber", (hex(number), True)) for number in self.numbers()]
        return self.rpc.batch(calls)

    def node_logs(self, topics: list[str | None] | None = None, address: str | None = None) -> list[Json]:
        wanted: Json = {"fromBlock": hex(self.numbers()[0]), "toBlock": "latest", "address": address or self.ledger}
        found: list[Json] = self.rpc.call("eth_getLogs", wanted | ({"topics": topics} if topics else {}))
        return found

    def ours(self) -> list[Json]:
        """Transactions of the node that called the ledger or the token, or made the ledger emit."""
        emitted = {log["transactionHash"] for log in self.node_logs()}
        called = (self.ledger.lower(), self.token.lower())
        rows = [row for block in self.node_blocks() for row in block["transactions"]]
        return [row for row in rows if row["hash"] in emitted or (row["to"] or "").lower() in called]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        world.story()
        sent = {"from": DEPLOYER.address, "to": world.deployment.ledger, "gas": hex(200_000), "data": "0xdeadbeef"}
        price = {"gasPrice": hex(3 * 10**9)}
        # Reverted, of the two older types.
        node.rpc.call("eth_sendTransaction", sent | price)
        node.rpc.call(
            "eth_sendTransaction",
            sent | price | {"accessList": [{"address": world.deployment.token, "storageKeys": [to_hex(bytes(32))]}]},
        )
        # One block with several transactions, so that gas and log indexes must be counted over it.
        node.rpc.call("evm_setAutomine", False)
        data = to_hex(encode_call("TestDollar", "mint", BUYER.address, 5))
        for _ in range(3):
            node.rpc.call("eth_sendTransaction", sent | {"to": world.deployment.token, "data": data})
        withdraw = to_hex(encode_call("ComputeLedger", "withdraw", BUYER.address, BUYER.address, 7))
        node.rpc.call("eth_sendTransaction", sent | {"from": BUYER.address, "data": withdraw, "gas": hex(400_000)})
        node.mine()
        node.rpc.call("evm_setAutomine", True)
        node.mine(3)
        followed = Followed(tmp_path_factory.mktemp("mirror"), world.deployment, world.rpc)
        followed.catch_up()
        app = FastAPI()
        mount(app, followed.mirror, node_url=node.url, settings=ExplorerSettings(read_wait_seconds=0))
        yield Script(app, world)
        followed.close()


def test_logs_are_the_nodes_logs(script: Script) -> None:
    ours = script.ask("logs", "getLogs", fromBlock=0, toBlock="latest", address=script.ledger)
    theirs = script.node_logs()
    for log, their in zip(ours, theirs, strict=True):
        both = set(log) & set(their)
        assert {name: log[name] for name in both} == {name: their[name] for name in both}
    assert len(theirs) > 15
    names = "address topics data blockNumber timeStamp gasPrice gasUsed logIndex transactionHash transactionIndex"
    assert set(names.split()) | {"blockHash"} == set(ours[0])
    for log in ours:
        receipt = script.rpc.call("eth_getTransactionReceipt", log["transactionHash"])
        assert (log["gasPrice"], log["gasUsed"]) == (receipt["effectiveGasPrice"], receipt["gasUsed"])
        assert log["timeStamp"] == script.rpc.call("eth_getBlockByNumber", log["blockNumber"], False)["timestamp"]


def identity(log: Json) -> tuple[str, str]:
    return log["blockNumber"], log["logIndex"]


def test_topics_filter_as_the_node_does(script: Script) -> None:
    logs = script.node_logs()
    asked = 0
    for log in logs:
        for size in range(1, len(log["topics"]) + 1):
            for places in combinations(range(len(log["topics"])), size):
                topics = [log["topics"][place] if place in places else None for place in range(places[-1] + 1)]
                named = {f"topic{place}": log["topics"][place] for place in places}
                operators = {f"topic{a}_{b}_opr": "and" for a, b in combinations(places, 2)}
                found = script.ask("logs", "getLogs", fromBlock=0, toBlock="latest", **named, **operators)
                assert list(map(identity, found)) == list(map(identity, script.node_logs(topics)))
                asked += 1
    assert asked > 50


def test_either_of_two_topics(script: Script) -> None:
    logs = script.node_logs()
    one, other = logs[2]["topics"][0], logs[5]["topics"][1]
    for operator, both in (("or", any), ("and", all)):
        asked = {"topic0": one, "topic1": other, "topic0_1_opr": operator}
        body = script.answer("logs", "getLogs", fromBlock=0, toBlock="latest", **asked).json()
        holds = [log for log in logs if both([one in log["topics"][:1], other in log["topics"][1:2]])]
        assert list(map(identity, body["result"])) == list(map(identity, holds))


def test_every_block_range_has_its_own_logs(script: Script) -> None:
    numbers, logs = script.numbers(), script.node_logs()
    for first in numbers[:: len(numbers) // 5]:
        for last in numbers[:: len(numbers) // 7]:
            body = script.answer("logs", "getLogs", fromBlock=first, toBlock=last).json()
            within = [log for log in logs if first <= int(log["blockNumber"], 16) <= last]
            assert list(map(identity, body["result"])) == list(map(identity, within))
            assert body["message"] == ("OK" if within else "No records found")


def test_receipts_and_transactions_are_the_nodes(script: Script) -> None:
    rows = script.ours()
    assert {row["type"] for row in rows} == {"0x0", "0x1", "0x2"}
    for row in rows:
        ours = script.ask("proxy", "eth_getTransactionByHash", txhash=row["hash"])
        assert ours == {name: value for name, value in row.items() if name in ours}
        assert {"from", "to", "input", "value", "nonce", "v", "r", "s", "gas", "type"} <= set(ours)
        assert set(row) - set(ours) <= NOT_OURS | {"yParity"}
        receipt = script.rpc.call("eth_getTransactionReceipt", row["hash"])
        ours = script.ask("proxy", "eth_getTransactionReceipt", txhash=row["hash"])
        for log in receipt["logs"]:
            log.pop("blockTimestamp", None)
        assert ours == {name: value for name, value in receipt.items() if name not in NOT_OURS}


def test_blocks_are_the_nodes(script: Script) -> None:
    whole = 0
    for block in script.node_blocks():
        ours = script.ask("proxy", "eth_getBlockByNumber", tag=block["number"], boolean="false")
        assert {name: block[name] for name in ours if name != "transactions"} == {
            name: value for name, value in ours.items() if name != "transactions"
        }
        hashes = [row["hash"] for row in block["transactions"]]
        assert ours.get("transactions", hashes) == hashes
        whole += "transactions" in ours and bool(hashes)
        full = script.ask("proxy", "eth_getBlockByNumber", tag=block["number"], boolean="true")
        for mine, theirs in zip(full.get("transactions", ()), block["transactions"], strict=False):
            assert mine == {name: theirs[name] for name in mine}
    assert whole > 10
    assert script.ask("proxy", "eth_blockNumber") == hex(script.rpc.block_number())
    assert script.ask("proxy", "eth_getBlockByNumber", tag="0xffffff", boolean="false") is None


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_the_transactions_of_an_account_are_those_that_reached_the_ledger(script: Script, sort: str) -> None:
    everybody = {row["from"] for row in script.ours()} | {row["to"] for row in script.ours()}
    times = {block["hash"]: int(block["timestamp"], 16) for block in script.node_blocks()}
    head = script.rpc.block_number()
    for account in everybody:
        expected = []
        for row in script.ours():
            if account not in (row["from"], row["to"]):
                continue
            receipt = script.rpc.call("eth_getTransactionReceipt", row["hash"])
            number = int(row["blockNumber"], 16)
            expected.append(
                {
                    "blockNumber": str(number),
                    "blockHash": row["blockHash"],
                    "timeStamp": str(times[row["blockHash"]]),
                    "hash": row["hash"],
                    "nonce": str(int(row["nonce"], 16)),
                    "transactionIndex": str(int(row["transactionIndex"], 16)),
                    "from": row["from"],
                    "to": row["to"],
                    "value": str(int(row["value"], 16)),
                    "gas": str(int(row["gas"], 16)),
                    "gasPrice": str(int(receipt["effectiveGasPrice"], 16)),
                    "input": row["input"],
                    "methodId": row["input"][:10],
                    "contractAddress": receipt["contractAddress"] or "",
                    "cumulativeGasUsed": str(int(receipt["cumulativeGasUsed"], 16)),
                    "txreceipt_status": str(int(receipt["status"], 16)),
                    "gasUsed": str(int(receipt["gasUsed"], 16)),
                    "confirmations": str(head - number + 1),
                    "isError": str(1 - int(receipt["status"], 16)),
                }
            )
        found = script.ask("account", "txlist", address=account, startblock=0, endblock=99_999_999, sort=sort)
        for row in found:
            name = row.pop("functionName")
            assert row["methodId"] == "0xdeadbeef" or name.partition("(")[0].isidentifier(), row
        assert found == (expected if sort == "asc" else expected[::-1])


def test_transfers_are_the_tokens_own_events(script: Script) -> None:
    ledger = script.ledger.lower()
    side = "0x" + ledger[2:].rjust(64, "0")
    theirs = [
        log
        for log in script.node_logs([TRANSFER], script.token)
        if side in log["topics"][1:] and "0x" + "0" * 64 not in log["topics"]
    ]
    expected = [
        {
            "hash": log["transactionHash"],
            "from": "0x" + log["topics"][1][26:],
            "to": "0x" + log["topics"][2][26:],
            "value": str(int(log["data"], 16)),
            "contractAddress": script.token.lower(),
        }
        for log in theirs
    ]
    assert {row["to"] == ledger for row in expected} == {True, False}
    for asked in ({"address": BUYER.address}, {"contractaddress": script.token}, {"address": script.ledger}):
        found = script.ask("account", "tokentx", **asked)
        assert [{name: row[name] for name in expected[0]} for row in found] == expected
    for row in found:
        receipt = script.rpc.call("eth_getTransactionReceipt", row["hash"])
        assert (row["gasUsed"], row["tokenDecimal"]) == (str(int(receipt["gasUsed"], 16)), "6")
    assert script.answer("account", "tokentx", address=DEPLOYER.address).json()["message"] == "No transactions found"


def test_balances_are_the_nodes_and_the_contracts(script: Script) -> None:
    wei = str(int(script.rpc.call("eth_getBalance", BUYER.address, "latest"), 16))
    assert script.ask("account", "balance", address=BUYER.address, tag="latest") == wei
    both = script.ask("account", "balancemulti", address=f"{BUYER.address},{DEPLOYER.address}")
    assert both[0] == {"account": BUYER.address.lower(), "balance": wei}
    assert [row["account"] for row in both] == [BUYER.address.lower(), DEPLOYER.address.lower()]
    data = to_hex(encode_call("TestDollar", "balanceOf", BUYER.address))
    held = script.rpc.call("eth_call", {"to": script.token, "data": data}, "latest")
    assert script.ask("account", "tokenbalance", contractaddress=script.token, address=BUYER.address) == str(
        int(held, 16)
    )
    free = script.ask("account", "tokenbalance", contractaddress=script.ledger, address=BUYER.address)
    data = to_hex(encode_call("ComputeLedger", "account", BUYER.address))
    # The first word that the contract's view returns is the free balance.
    assert int(free) == int(script.ask("proxy", "eth_call", to=script.ledger, data=data, tag="latest")[2:66], 16) > 0


def test_the_state_that_the_node_holds_is_passed_on(script: Script) -> None:
    for action in ("eth_getCode", "eth_getTransactionCount", "eth_getBalance"):
        assert script.ask("proxy", action, address=script.ledger, tag="latest") == script.rpc.call(
            action, script.ledger, "latest"
        )
    slot = script.ask("proxy", "eth_getStorageAt", address=script.ledger, position="0x0", tag="latest")
    assert slot == script.rpc.call("eth_getStorageAt", script.ledger, "0x0", "latest") != "0x" + "0" * 64
    assert script.ask("proxy", "eth_gasPrice") == script.rpc.call("eth_gasPrice")
    mint = to_hex(encode_call("TestDollar", "mint", BUYER.address, 1))
    gas = script.ask("proxy", "eth_estimateGas", to=script.token, data=mint, **{"from": DEPLOYER.address})
    assert 21_000 < int(gas, 16) < 100_000


def test_a_revert_comes_back_as_the_nodes_error(script: Script) -> None:
    body = script.answer("proxy", "eth_call", to=script.ledger, data="0xdeadbeef").json()
    assert body["jsonrpc"] == "2.0"
    assert "revert" in body["error"]["message"]


def test_nothing_is_sent_and_no_other_contract_is_run(script: Script) -> None:
    before = script.rpc.block_number()
    body = script.answer("proxy", "eth_sendRawTransaction", hex="0x02").json()
    assert "only reads" in body["error"]["message"]
    body = script.answer("proxy", "eth_call", to=DEPLOYER.address, data="0x").json()
    assert script.ledger in body["error"]["message"]
    for action in ("eth_sign", "anvil_mine", "evm_mine", "debug_traceTransaction", "eth_accounts", "personal_sign"):
        body = script.answer("proxy", action).json()
        assert (body["status"], body["message"]) == ("0", "NOTOK")
    assert script.rpc.block_number() == before


def test_blocks_are_found_by_their_time(script: Script) -> None:
    times = {int(block["number"], 16): int(block["timestamp"], 16) for block in script.node_blocks()}
    first, last = min(times.values()), max(times.values())
    for time in sorted({stamp + step for stamp in times.values() for step in (-1, 0, 1)}):
        earlier = [number for number, at in times.items() if at <= time]
        later = [number for number, at in times.items() if at >= time]
        for closest, expected in (("before", earlier[-1:]), ("after", later[:1])):
            body = script.answer("block", "getblocknobytime", timestamp=time, closest=closest).json()
            if time < first or not expected:
                assert (body["message"], time < first or time > last) == ("NOTOK", True)
            else:
                assert body == {"status": "1", "message": "OK", "result": str(expected[0])}


def test_success_and_failure_are_told_apart(script: Script) -> None:
    seen = set()
    for row in script.ours():
        status = int(script.rpc.call("eth_getTransactionReceipt", row["hash"])["status"], 16)
        assert script.ask("transaction", "gettxreceiptstatus", txhash=row["hash"]) == {"status": str(status)}
        assert script.ask("transaction", "getstatus", txhash=row["hash"])["isError"] == str(1 - status)
        seen.add(status)
    assert seen == {0, 1}
    unknown = "0x" + "12" * 32
    assert script.ask("transaction", "gettxreceiptstatus", txhash=unknown) == {"status": ""}
    assert "not mirrored" in script.answer("transaction", "getstatus", txhash=unknown).json()["result"]


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize(
    ("module", "action", "asked"),
    [
        ("account", "txlist", {"address": BUYER.address}),
        ("account", "tokentx", {"address": BUYER.address}),
        ("logs", "getLogs", {"fromBlock": 0, "toBlock": "latest"}),
    ],
)
def test_pages_and_tokens_both_walk_the_whole_list(
    script: Script, module: str, action: str, asked: Json, sort: str
) -> None:
    asked = asked | {"sort": sort}
    whole = script.ask(module, action, **asked)
    paged: list[Json] = []
    for page in range(1, 100):
        rows = script.answer(module, action, **asked, page=page, offset=2).json()["result"]
        paged += rows
        if len(rows) < 2:
            break
    walked: list[Json] = []
    body = script.answer(module, action, **asked, offset=2).json()
    while True:
        walked += body["result"]
        if "next_page_token" not in body:
            break
        body = script.answer(module, action, **asked, offset=2, page_token=body["next_page_token"]).json()
    assert paged == walked == whole
    assert len(whole) > 2


def test_a_tag_saves_the_second_reading(script: Script) -> None:
    first = script.answer("account", "txlist", address=BUYER.address)
    assert first.headers["x-indexed-block"] == str(script.rpc.block_number())
    query = urlencode(
        {"chainid": CHAIN_ID, "module": "account", "action": "txlist", "apikey": "any", "address": BUYER.address}
    )
    second = read(script.app, f"/v2/api?{query}", if_none_match=first.headers["etag"])
    assert (second.status, second.body) == (304, b"")

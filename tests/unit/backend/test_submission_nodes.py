"""Several nodes: who is asked, who rests, and what only most of them together may say (reliability R6, R7)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from backend.operations.metrics import REGISTRY
from backend.submission.node import Node
from backend.submission.nodes import Nodes
from protocol.calls import artefact
from protocol.deployment import Deployment
from protocol.errors import NodeUnavailable, RpcRefused, TransactionReverted, WrongChain
from protocol.hashing import ZERO_ADDRESS, keccak256, to_hex
from tests.support.builders import an_address

LEDGER = an_address("ledger")
GENESIS, OTHER = to_hex(bytes([1]) * 32), to_hex(bytes([2]) * 32)
DEPLOYMENT = Deployment(
    chain_id=31337,
    ledger=LEDGER,
    token=ZERO_ADDRESS,
    registry=ZERO_ADDRESS,
    court=ZERO_ADDRESS,
    deploy_block=0,
    genesis_hash=GENESIS,
    min_notice=10,
    abi_hash="",
)


class Scripted(Node):
    """Answers from a table; a value that is an error is raised."""

    def __init__(self, **answers: Any) -> None:
        super().__init__("http://node.example")
        self.asked = 0
        self.answers = {
            "eth_chainId": "0x7a69",
            "eth_getCode": "0x60",
            "eth_getBlockByNumber": {"hash": GENESIS, "number": "0x9"},
        } | answers

    def _batch(self, calls: Any) -> list[Any]:
        self.asked += 1
        for method, _ in calls:
            if isinstance(self.answers[method], Exception):
                raise self.answers[method]
        return [self.answers[method] for method, _ in calls]

    def balance_wei(self, _who: str) -> int:
        self.asked += 1
        found = self.answers.get("balance", 7)
        if isinstance(found, Exception):
            raise found
        return int(found)


AWAY = NodeUnavailable("http://node.example", "connection refused")


def nodes(*several: Scripted) -> tuple[Nodes, Callable[[float], None]]:
    """With a clock that only moves when it is told to."""
    clock = [0.0]

    def wait(seconds: float) -> None:
        clock[0] += seconds

    return Nodes(several, DEPLOYMENT, lambda: clock[0]), wait


def ask(pool: Nodes) -> int:
    return pool.ask(lambda node: node.balance_wei(LEDGER))


class TestNodes:
    def test_another_takes_over_while_one_rests_and_the_first_comes_back(self) -> None:
        first, second = Scripted(balance=AWAY), Scripted(balance=8)
        pool, wait = nodes(first, second)
        assert ask(pool) == 8
        asked = first.asked
        assert ask(pool) == 8
        assert first.asked == asked
        first.answers["balance"] = 7
        wait(1)
        assert ask(pool) == 7

    @pytest.mark.parametrize("words", ["nonce too low", "replacement transaction underpriced", "already known"])
    def test_what_a_node_says_of_a_nonce_is_never_an_outage(self, words: str) -> None:
        first, second = Scripted(balance=RpcRefused("x", -32603, words)), Scripted()
        pool, _ = nodes(first, second)
        for _ in range(9):
            with pytest.raises(RpcRefused):
                ask(pool)
        assert pool.health[0].failures == 0
        assert second.asked == 0

    def test_an_operator_sees_that_a_node_fails_until_it_answers_again(self) -> None:
        first = Scripted(balance=AWAY)
        pool, wait = nodes(first, Scripted(balance=8))
        for seconds in (0, 1, 2):
            wait(seconds)
            ask(pool)
        name = "gridlease_market_node_failures"
        assert REGISTRY.get_sample_value(name, {"node": "0"}) == 3
        first.answers["balance"] = 7
        wait(8)
        ask(pool)
        assert REGISTRY.get_sample_value(name, {"node": "0"}) == 0

    def test_too_many_requests_are(self) -> None:
        pool, _ = nodes(Scripted(balance=RpcRefused("x", -32005, "limit")), Scripted(balance=8))
        assert ask(pool) == 8

    @pytest.mark.parametrize("answers", [{"eth_chainId": "0x1"}, {"eth_getBlockByNumber": {"hash": OTHER}}])
    def test_a_node_of_another_chain_is_not_used(self, answers: dict[str, Any]) -> None:
        pool, wait = nodes(Scripted(**answers), Scripted(balance=8))
        assert ask(pool) == 8
        wait(20)
        assert ask(pool) == 8

    def test_alone_it_is_an_error_that_names_the_setting(self) -> None:
        pool, _ = nodes(Scripted(eth_chainId="0x1"))
        with pytest.raises(WrongChain, match="GRIDLEASE_RPC_URL"):
            ask(pool)

    def test_after_a_failure_a_node_must_say_again_which_chain_it_serves(self) -> None:
        first = Scripted(balance=AWAY)
        pool, wait = nodes(first, Scripted(balance=8))
        ask(pool)
        first.answers |= {"balance": 7, "eth_chainId": "0x1"}
        wait(1)
        assert ask(pool) == 8

    def test_with_none_left_the_last_error_is_said(self) -> None:
        pool, wait = nodes(Scripted(balance=AWAY), Scripted(balance=AWAY))
        for _ in range(3):
            with pytest.raises(NodeUnavailable):
                ask(pool)
        wait(100)
        assert pool.health[0].failures == 1

    @pytest.mark.parametrize(
        ("others", "agreed"),
        [((), True), ((GENESIS,), True), ((OTHER,), False), ((GENESIS, OTHER), True), ((OTHER, OTHER), False)],
    )
    def test_more_than_half_of_all_must_call_a_block_final(self, others: tuple[str, ...], agreed: bool) -> None:
        several = [Scripted(), *(Scripted(eth_getBlockByNumber={"hash": block_hash}) for block_hash in others)]
        pool, _ = nodes(*several)
        for health in pool.health:
            health.admitted = True
        assert pool.agree(several[0], 9, GENESIS, lambda _: 9) is agreed

    def test_a_node_that_is_away_has_no_vote_and_still_counts(self) -> None:
        first, second = Scripted(), Scripted(eth_getBlockByNumber=AWAY, eth_chainId=AWAY)
        pool, _ = nodes(first, second)
        assert not pool.agree(first, 9, GENESIS, lambda _: 9)

    def test_one_that_is_behind_is_left_for_one_that_is_not(self) -> None:
        first, second = Scripted(), Scripted()
        pool, _ = nodes(first, second)
        pool.require_head(second, 100)
        pool.require_head(first, 98)
        with pytest.raises(NodeUnavailable, match="behind"):
            pool.require_head(first, 97)


@contextmanager
def serving(said: bytes | dict[str, bytes]) -> Iterator[str]:
    """A server that answers everything with these bytes, or each method with its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = said if isinstance(said, bytes) else said[asked["method"]]
            body = body.replace(b'"id": 1,', b'"id": %d,' % asked["id"])
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(**error: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()


def _result(result: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


class TestSimulation:
    def test_a_call_that_passes_with_enough_gas_is_run_once_and_not_estimated(self) -> None:
        with serving({"eth_call": _result("0x"), "eth_estimateGas": _result("0x1")}) as url:
            node = Node(url)
            assert node.simulate(LEDGER, LEDGER, b"", enough_gas=100_000) == 100_000
            node.close()

    @pytest.mark.parametrize(
        "error", [{"code": -32000, "message": "out of gas"}, {"code": 3, "message": "execution reverted", "data": "0x"}]
    )
    def test_one_that_needs_more_gets_what_the_node_estimates(self, error: dict[str, Any]) -> None:
        with serving({"eth_call": _error(**error), "eth_estimateGas": _result("0x30d40")}) as url:
            node = Node(url)
            assert node.simulate(LEDGER, LEDGER, b"", enough_gas=100_000) == 200_000
            node.close()

    def _reason(self, **error: Any) -> str:
        with serving(_error(**error)) as url:
            node = Node(url)
            with pytest.raises(TransactionReverted) as caught:
                node.simulate(LEDGER, LEDGER, b"", enough_gas=100_000)
            node.close()
            return caught.value.reason

    def test_the_ledgers_error_is_decoded(self) -> None:
        name = next(entry for entry in artefact("ComputeLedger")["abi"] if entry["type"] == "error")["name"]
        entry = next(entry for entry in artefact("ComputeLedger")["abi"] if entry.get("name") == name)
        types = ",".join(item["type"] for item in entry["inputs"])
        data = keccak256(f"{name}({types})".encode())[:4] + bytes(32 * len(entry["inputs"]))
        assert self._reason(code=3, message="execution reverted", data=to_hex(data)).startswith(name)

    @pytest.mark.parametrize("data", ["0x" + "ab" * 500_000, "0x08c379a0" + "ff" * 500_000, "0xzz", None, 5])
    def test_a_revert_of_any_size_and_shape_becomes_a_short_reason(self, data: object) -> None:
        assert len(self._reason(code=3, message="execution reverted: " + "x" * 100_000, data=data)) <= 500

    @pytest.mark.parametrize("body", [b'{"id": 1, "result": "0xgg"}', b'{"id": 1, "result": [1]}', b'{"id": 1, "res'])
    def test_an_answer_of_another_shape_is_none(self, body: bytes) -> None:
        with serving(body) as url:
            node = Node(url)
            with pytest.raises(NodeUnavailable):
                node.balance_wei(LEDGER)
            node.close()


def test_a_transaction_is_fetched_only_where_no_block_shows_it() -> None:
    mined, waiting, unheard = "0x1", "0x2", "0x3"
    receipt = {
        "transactionHash": mined,
        "blockNumber": "0x7",
        "blockHash": GENESIS,
        "status": "0x1",
        "gasUsed": "0x1",
        "effectiveGasPrice": "0x1",
    }
    asked: list[tuple[str, str]] = []

    class Answering(Node):
        def _batch(self, calls: Any) -> list[Any]:
            asked.extend((method, tx_hash) for method, (tx_hash,) in calls)
            said = {
                ("eth_getTransactionReceipt", mined): receipt,
                ("eth_getTransactionByHash", waiting): {"hash": waiting},
            }
            return [said.get((method, tx_hash)) for method, (tx_hash,) in calls]

    places, known = Answering("http://node.example").places([mined, waiting, unheard])
    assert {tx_hash: place.block_hash for tx_hash, place in places.items()} == {mined: GENESIS}
    assert known == {mined, waiting}
    assert ("eth_getTransactionByHash", mined) not in asked

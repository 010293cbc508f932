"""`/api` and `/v2/api`: envelopes, refusals, what it costs others, and what no question can do to it."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fastapi import FastAPI

from explorer.app import mount
from explorer.etherscan.actions import FROM_MIRROR, FROM_NODE
from explorer.etherscan.endpoint import Turns
from explorer.etherscan.node import READS, Node
from explorer.etherscan.replies import NotOk, RpcError
from explorer.settings import ExplorerSettings
from indexer.queries import Mirror
from protocol.hashing import checksum_address
from tests.support.asgi_reader import Answer, exchange, read, scope_of
from tests.support.fake_chain import CONTRACTS
from tests.support.malformed import bytes_of
from tests.support.stored_mirror import StoredMirror, random_events

LEDGER, TOKEN = checksum_address(CONTRACTS.ledger), checksum_address(CONTRACTS.token)
SOMEBODY = "0x" + "ab" * 20
REQUESTS = 2000


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path)
    made.grow(random_events(7, [3] * 20))
    yield made
    made.close()


@pytest.fixture
def app(stored: StoredMirror) -> FastAPI:
    return serving(stored.mirror)


def serving(mirror: Mirror, **changes: Any) -> FastAPI:
    made = FastAPI()
    mount(made, mirror, settings=ExplorerSettings(read_wait_seconds=0), **changes)
    return made


def url(path: str = "/api", /, **asked: object) -> str:
    return f"{path}?{urlencode(asked)}"


def logs(path: str = "/api", /, **asked: object) -> str:
    return url(path, module="logs", action="getLogs", **asked)


def said(app: FastAPI, question: str) -> str:
    """Why there is no answer, as scripts look for it."""
    answer = read(app, question)
    body = answer.json()
    assert (answer.status, body["status"], body["message"]) == (200, "0", "NOTOK")
    assert set(body) == {"status", "message", "result"}
    return str(body["result"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "invalid Module name"),
        ({"module": "stats", "action": "ethprice"}, "known are account, logs"),
        ({"module": "account"}, "invalid Action name"),
        ({"module": "account", "action": "txlistinternal"}, "txlist, tokentx"),
        ({"module": "account", "action": "txlist"}, "Missing parameter: address"),
        ({"module": "account", "action": "txlist", "address": "0x12"}, "Invalid address format"),
        ({"module": "account", "action": "txlist", "address": SOMEBODY, "startblock": "many"}, "Invalid startblock"),
        ({"module": "account", "action": "txlist", "address": SOMEBODY, "sort": "up"}, "none of asc, desc"),
        ({"module": "account", "action": "txlist", "address": SOMEBODY, "offset": 10_001}, "at most 10000"),
        ({"module": "account", "action": "txlist", "address": SOMEBODY, "page_token": "zzz"}, "not given out"),
        ({"module": "account", "action": "tokentx"}, "address or contractaddress"),
        ({"module": "account", "action": "tokentx", "contractaddress": SOMEBODY}, TOKEN),
        ({"module": "account", "action": "tokenbalance", "contractaddress": SOMEBODY, "address": SOMEBODY}, LEDGER),
        ({"module": "account", "action": "balancemulti", "address": ",".join([SOMEBODY] * 21)}, "at most 20"),
        ({"module": "account", "action": "balance", "address": SOMEBODY, "tag": "soon"}, "Invalid tag"),
        ({"module": "logs", "action": "getLogs", "address": SOMEBODY}, f"Only logs of the ledger {LEDGER}"),
        ({"module": "logs", "action": "getLogs", "address": TOKEN}, f"Only logs of the ledger {LEDGER}"),
        ({"module": "logs", "action": "getLogs", "topic0": "0x12"}, "Invalid topic0"),
        ({"module": "logs", "action": "getLogs", "offset": 1001}, "at most 1000"),
        ({"module": "logs", "action": "getLogs", "fromBlock": "-1"}, "Invalid fromblock"),
        ({"module": "logs", "action": "getLogs", "toBlock": 2**63}, "Invalid toblock"),
        ({"module": "block", "action": "getblocknobytime"}, "Missing parameter: timestamp"),
        ({"module": "block", "action": "getblocknobytime", "timestamp": 1, "closest": "near"}, "none of before, after"),
        ({"module": "block", "action": "getblockreward", "blockno": 3}, "not supported"),
        ({"module": "transaction", "action": "getstatus"}, "Missing parameter: txhash"),
        ({"module": "transaction", "action": "gettxreceiptstatus", "txhash": "0x12"}, "Invalid transaction"),
        ({"module": "proxy", "action": "eth_mine"}, "invalid Action name"),
    ],
)
def test_a_refusal_is_an_answer_that_says_what_is_wrong(app: FastAPI, asked: dict[str, object], says: str) -> None:
    assert says in said(app, url(**asked))


def test_an_operator_that_is_none_is_refused(app: FastAPI) -> None:
    topic = "0x" + "12" * 32
    assert "none of and, or" in said(app, logs(topic0=topic, topic1=topic, topic0_1_opr="xor"))


def test_the_last_of_ten_thousand_rows_is_the_last_that_pages_lead_to(app: FastAPI) -> None:
    body = read(app, logs(page=11, offset=1000)).json()
    message = "Result window is too large, PageNo x Offset size must be less than or equal to 10000"
    assert body == {"status": "0", "message": message, "result": None}
    assert read(app, logs(page=10, offset=1000)).json()["message"] == "No records found"


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("/api", {"chainid": 5}, "chain 1 only"),
        ("/v2/api", {"chainid": "1,5"}, "chain 1 only"),
        ("/v2/api", {}, "Missing chainid"),
    ],
)
def test_another_chain_is_refused_by_the_name_of_ours(
    app: FastAPI, path: str, asked: dict[str, object], says: str
) -> None:
    assert says in said(app, logs(path, **asked))


def test_both_paths_say_the_same_in_any_case_with_any_key(app: FastAPI) -> None:
    wanted = read(app, logs(fromBlock=3, toBlock=6)).json()
    assert wanted["message"] == "OK"
    for question in (
        logs("/v2/api", fromBlock=3, toBlock=6, chainid=1, apikey="YourApiKeyToken"),
        "/api?MODULE=logs&action=GETLOGS&fromblock=0x3&toblock=6&unknown=1",
    ):
        assert read(app, question).json() == wanted


def test_a_parameter_that_is_given_twice_is_refused(app: FastAPI) -> None:
    assert "given twice" in said(app, "/api?module=logs&module=block")


def posted(app: FastAPI, body: bytes, kind: str = "application/x-www-form-urlencoded", query: bytes = b"") -> Answer:
    scope = scope_of(b"/v2/api", query, {"content-type": kind}, "POST")
    given = [{"type": "http.request", "body": body, "more_body": False}]
    found = Answer()

    async def receive() -> Any:
        return given.pop() if given else await asyncio.sleep(60)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.status = message["status"]
            found.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        found.body += message.get("body", b"")

    asyncio.run(app(scope, receive, send))
    return found


def test_a_form_asks_as_a_query_does(app: FastAPI) -> None:
    wanted = read(app, logs(fromBlock=3, toBlock=6)).json()
    answer = posted(app, b"module=logs&action=getLogs&fromBlock=3&toBlock=6", query=b"chainid=1")
    assert answer.json() == wanted
    # A tag names the URL, and this URL is that of every form.
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"a=" + b"1" * 70_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"%d=1" % number for number in range(100)), "application/x-www-form-urlencoded"),
        (b"module=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"chainid=1&chainid=1", "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_is_none_is_refused(app: FastAPI, body: bytes, kind: str) -> None:
    assert posted(app, body, kind).json()["message"] == "NOTOK"


def test_head_has_the_headers_and_no_body(app: FastAPI) -> None:
    wanted = read(app, logs())
    found = asyncio.run(exchange(app, scope_of(b"/api", logs().partition("?")[2].encode(), method="HEAD")))
    assert (found.status, found.body, found.headers) == (200, b"", wanted.headers)


def test_what_the_mirror_says_is_stamped_and_what_it_refuses_is_not_kept(app: FastAPI, stored: StoredMirror) -> None:
    headers = read(app, logs()).headers
    assert headers["x-indexed-block"] == "20"
    assert {"x-level", "x-finality", "x-reorg-epoch", "etag"} <= set(headers)
    stored.grow([[]])
    assert read(app, logs()).headers["etag"] != headers["etag"]
    refused = read(app, logs(offset=5000)).headers
    assert (refused["cache-control"], "etag" in refused) == ("no-store", False)


def test_a_token_of_a_block_that_a_reorg_replaced_is_refused_by_its_fork(app: FastAPI, stored: StoredMirror) -> None:
    token = read(app, logs(fromBlock=1, toBlock=20, offset=45)).json()["next_page_token"]
    going_on = logs(fromBlock=1, toBlock=20, offset=45, page_token=token)
    assert len(read(app, going_on).json()["result"]) == 15
    stored.replace(17, random_events(8, [1, 1]))
    assert read(app, going_on).json()["message"] == "OK"
    stored.replace(12, random_events(9, [1, 1]))
    assert "Blocks from 13 on were replaced" in said(app, going_on)


def test_a_token_is_good_for_its_own_list_only(app: FastAPI) -> None:
    token = read(app, logs(offset=5)).json()["next_page_token"]
    assert "not given out" in said(app, logs(offset=5, toBlock=9, page_token=token))
    assert "leave page out" in said(app, logs(offset=5, page=2, page_token=token))


@pytest.mark.parametrize(
    "asked",
    [
        {"module": "account", "action": "balance", "address": SOMEBODY},
        {"module": "account", "action": "tokenbalance", "address": SOMEBODY, "contractaddress": TOKEN},
    ],
)
def test_without_a_node_the_state_is_refused_and_the_facts_are_not(app: FastAPI, asked: dict[str, object]) -> None:
    assert "without a node" in said(app, url(**asked))
    held = url(module="account", action="tokenbalance", address=SOMEBODY, contractaddress=LEDGER)
    assert read(app, held).json() == {"status": "1", "message": "OK", "result": "0"}
    body = read(app, url(module="proxy", action="eth_gasPrice")).json()
    assert body["jsonrpc"] == "2.0"
    assert "without a node" in body["error"]["message"]


def test_a_node_that_is_away_is_not_named(stored: StoredMirror) -> None:
    app = serving(stored.mirror, node_url="http://127.0.0.1:1/secret")
    answer = read(app, url(module="account", action="balance", address=SOMEBODY))
    assert answer.json()["message"] == "NOTOK"
    assert b"secret" not in answer.body
    assert b"127.0.0.1" not in answer.body


def test_the_node_is_asked_for_nothing_but_reads() -> None:
    assert not any(word in method.lower() for method in READS for word in ("send", "sign", "mine", "set", "debug"))
    for method in ("eth_sendRawTransaction", "anvil_setBalance", "eth_sign"):
        with pytest.raises(AssertionError):
            Node("http://127.0.0.1:1").ask([(method, ())])
    with pytest.raises(RpcError):
        Node(None).ask([("eth_gasPrice", ())])


def test_before_the_mirror_exists_it_says_so(tmp_path: Path) -> None:
    app = serving(Mirror(f"sqlite:///{tmp_path / 'none.db'}"))
    answer = read(app, logs())
    assert "not ready" in answer.json()["result"]
    assert str(tmp_path).encode() not in answer.body


def test_proxy_refuses_as_json_rpc_does(app: FastAPI) -> None:
    body = read(app, url(module="proxy", action="eth_getBlockByNumber", tag="0x0", boolean="true")).json()
    assert (body["jsonrpc"], body["error"]["code"]) == ("2.0", -32602)
    assert "deployed in block 1" in body["error"]["message"]
    body = read(app, url(module="proxy", action="eth_getTransactionByHash", txhash="0x12")).json()
    assert "Invalid transaction" in body["error"]["message"]


def test_too_many_at_a_time_wait_their_turn_and_then_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.etherscan.endpoint._PATIENCE", 0.05)

    async def crowd() -> None:
        turns = Turns(1)
        async with turns:
            # Clients know these words, and ask again.
            with pytest.raises(NotOk, match="Max rate limit reached"):
                await turns.__aenter__()
        async with turns:
            assert turns.taken == 1
        assert turns.taken == 0

    asyncio.run(crowd())


KNOWN = [(module, action) for table in (FROM_MIRROR, FROM_NODE) for module, known in table.items() for action in known]
NAMES = re.findall(
    r"\w+",
    """address contractaddress startblock endblock page offset sort page_token fromBlock toBlock topic0 topic1 topic2
    topic3 topic0_1_opr topic2_3_opr timestamp closest txhash tag boolean to data from value position apikey chainid""",
)
PLAUSIBLE = (
    b"0x" + b"ab" * 20,
    b"0x" + b"12" * 32,
    LEDGER.encode(),
    TOKEN.encode(),
    b"latest",
    b"1",
    b"2",
    b"10",
    b"1700000005",
    b"or",
    b"and",
    b"desc",
    b"true",
    b"before",
    b"0x1",
)


def question_of(random: Random) -> bytes:
    module, action = random.choice(KNOWN) if random.random() < 0.9 else (random.choice(NAMES), random.choice(NAMES))
    parts = [b"module=" + module.encode(), b"action=" + action.encode()]
    if random.random() < 0.5:
        parts.append(b"address=" + random.choice((SOMEBODY, LEDGER)).encode())
    for name in random.sample(NAMES[1:], random.randrange(4)):
        value = random.choice(PLAUSIBLE) if random.random() < 0.6 else bytes_of(random)
        parts.append(name.encode() + b"=" + value)
    if random.random() < 0.1:
        parts.append(bytes_of(random))
    return b"&".join(parts)


def test_two_thousand_malformed_questions_and_no_failure_of_ours(app: FastAPI) -> None:
    random = Random(20_261_125)

    async def campaign() -> Counter[str]:
        seen: Counter[str] = Counter()
        for _ in range(REQUESTS):
            query = question_of(random)
            answer = await exchange(app, scope_of(random.choice((b"/api", b"/api", b"/v2/api")), query))
            assert answer.status < 500, query
            assert answer.headers["x-content-type-options"] == "nosniff", query
            if answer.status == 200:
                body = answer.json()
                is_rpc = body.get("jsonrpc") == "2.0" and ("result" in body) != ("error" in body)
                assert is_rpc or {"status", "message", "result"} <= set(body), query
                seen[body.get("message", "jsonrpc")] += 1
            else:
                # The door takes ASCII only.
                assert answer.status == 400, query
                seen["400"] += 1
        return seen

    seen = asyncio.run(campaign())
    assert {"OK", "NOTOK", "jsonrpc", "No transactions found"} <= set(seen), seen
    assert seen["OK"] > 20


def test_an_answer_that_is_too_large_is_refused_and_never_cut(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.etherscan.window._MOST_BYTES", 2_000)
    assert "ask for fewer by offset" in said(app, logs())
    assert len(read(app, logs(offset=2)).json()["result"]) == 2


def test_hostile_text_stays_text(app: FastAPI) -> None:
    hostile = '<img src=x onerror="alert(1)">\u202e'
    for question in (
        f"/api?module={quote(hostile)}",
        logs(topic0=hostile),
        logs(sort=hostile),
        logs(fromBlock=hostile),
    ):
        answer = read(app, question)
        assert answer.headers["content-type"] == "application/json"
        assert "\u202e" not in answer.body.decode()

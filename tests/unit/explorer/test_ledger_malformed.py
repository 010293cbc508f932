"""Whatever is asked, `/v1/ledger` does not fail on its side, and nothing that was sent comes back as markup."""

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote_to_bytes

import pytest
import uvicorn
from fastapi import FastAPI

from explorer.app import mount
from explorer.settings import ExplorerSettings
from tests.support.asgi_reader import Answer, exchange, read, scope_of
from tests.support.malformed import raw_request, request_of
from tests.support.stored_mirror import StoredMirror, random_events

REQUESTS, THROUGH_A_SOCKET = 10_000, 400
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    stored = StoredMirror(tmp_path_factory.mktemp("mirror"))
    stored.grow(random_events(7, [3] * 40))
    made = FastAPI()
    # A malformed question must not make anybody wait.
    mount(made, stored.mirror, settings=ExplorerSettings(read_wait_seconds=0, streams=10_000, exports=10_000))
    yield made
    stored.close()


def test_ten_thousand_malformed_requests_and_no_failure_of_ours(app: FastAPI) -> None:
    random = Random(20_261_125)

    async def campaign() -> Counter[int]:
        seen: Counter[int] = Counter()
        for index in range(REQUESTS):
            request = request_of(random)
            scope = scope_of(unquote_to_bytes(request["path"]), request["query"], method=request["method"])
            scope["raw_path"] = request["path"]
            scope["headers"] += request["headers"]
            # A stream does not end: it is left after its first words.
            answer = await exchange(app, scope, enough=bool)
            assert answer.status < 500, (index, request, answer.body)
            ours = scope["path"].startswith("/v1/ledger")
            assert answer.status < 400 or is_problem(answer, request["method"]) or not ours, (index, request, answer)
            seen[answer.status] += 1
        return seen

    seen = asyncio.run(campaign())
    # A campaign that is refused at the door tests nothing: all kinds of answer must occur.
    assert {200, 400, 404, 405} <= set(seen)
    assert seen[200] > REQUESTS / 50


def is_problem(answer: Answer, method: str) -> bool:
    if answer.headers.get("content-type") != "application/problem+json":
        return False
    if method == "HEAD":
        return not answer.body
    problem = answer.json()
    return problem["status"] == answer.status and bool(problem["code"]) and bool(problem["detail"])


@pytest.fixture
def port(app: FastAPI, tmp_path: Path) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def status_of(port: int, request: bytes) -> int | None:
    """None where the server closed the connection without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(request)
        head = b""
        while b"\r\n" not in head:
            got = line.recv(4096)
            if not got:
                return None
            head += got
    return int(head.split(b" ", 2)[1])


def test_malformed_bytes_through_a_socket_and_no_failure_of_ours(port: int) -> None:
    random, seen = Random(7), Counter[int | None]()
    for _ in range(THROUGH_A_SOCKET):
        request = request_of(random)
        status = status_of(port, raw_request(request))
        assert status is None or status < 500, request
        seen[status] += 1
    assert status_of(port, b"GET /v1/ledger/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == 200
    assert seen[200]
    assert seen[400]


@pytest.mark.parametrize(
    "url",
    [
        "leases/{}",
        "events?lease={}",
        "events?kind={}&nothing=1",
        "events?page_token={}",
        "leases?state={}",
        "search?q={}",
        "stream?after={}",
        "{}",
        "leases?{}=1",
        "events?format={}",
    ],
)
def test_hostile_text_comes_back_as_json_that_no_browser_takes_for_a_page(app: FastAPI, url: str) -> None:
    answer = read(app, "/v1/ledger/" + url.format(quote(HOSTILE, safe="")))
    assert answer.headers["content-type"] in ("application/json", "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"

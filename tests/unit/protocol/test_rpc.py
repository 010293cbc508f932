"""A node is asked with the login and by the proxy that its URL and the environment name, and no error tells secrets."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from protocol.errors import NodeUnavailable, RpcRefused
from protocol.rpc import Rpc


class _Node(BaseHTTPRequestHandler):
    """Answers as its server says, and keeps what it was asked."""

    server: "Server"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, dict(self.headers.items()), asked))
        answer = self.server.answer
        if isinstance(answer, dict):
            answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Server(HTTPServer):
    """A node of one answer: members of it, or all of its bytes."""

    answer: dict[str, Any] | bytes

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Node)
        self.answer = {"result": "0x7"}
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def node() -> Iterator[Server]:
    server = Server()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_login_of_a_url_is_sent(node: Server) -> None:
    with Rpc(f"http://buyer:pass%20word@{node.host}/v3/key?x=1") as rpc:
        assert rpc.block_number() == 7
    ((path, headers, asked),) = node.asked
    assert path == "/v3/key?x=1"
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) in (
        b"buyer:pass word",
        b"buyer:pass%20word",
    )
    assert asked["method"] == "eth_blockNumber"


def test_the_proxy_of_the_environment_is_used_but_for_the_hosts_that_it_leaves_out(
    node: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{node.host}")
    monkeypatch.setenv("no_proxy", "other.invalid")
    with Rpc("http://node.invalid/rpc") as rpc:
        assert rpc.block_number() == 7
    # A proxy is told the whole address.
    assert node.asked[0][0] == "http://node.invalid/rpc"
    with Rpc("http://other.invalid/rpc", timeout_seconds=1) as rpc, pytest.raises(NodeUnavailable):
        rpc.block_number()
    assert len(node.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[1]",
        b'{"id":1e400}',
        b"[" * 100_000,
        b"\xff",
        {"id": 99, "result": 1},
        {},
        {"id": [1], "result": 1},
    ],
)
def test_what_is_no_answer_is_an_error_that_tells_no_secret(node: Server, answer: dict[str, Any] | bytes) -> None:
    node.answer = answer
    with Rpc(f"http://buyer:secret@{node.host}/v3/secret?key=secret") as rpc, pytest.raises(NodeUnavailable) as caught:
        rpc.block_number()
    assert f"http://{node.host} " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_node_that_is_not_there_is_an_error_that_tells_no_secret() -> None:
    with Rpc("http://buyer:secret@127.0.0.1:9/secret") as rpc, pytest.raises(NodeUnavailable) as caught:
        rpc.block_number()
    assert "secret" not in str(caught.value)
    shown = str(NodeUnavailable("http://h/v3/secret?k=secret", "Max retries with url: /v3/secret?k=secret (refused)"))
    assert "secret" not in shown


def test_a_nodes_own_error_is_told_in_its_words(node: Server) -> None:
    node.answer = {"error": {"code": -32000, "message": "no such block", "data": "0x"}}
    with Rpc(f"http://{node.host}") as rpc, pytest.raises(RpcRefused, match="no such block"):
        rpc.block_number()

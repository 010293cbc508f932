"""A node behind somebody who lies once: an HTTP proxy that remembers what is true and changes one answer."""

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from protocol.errors import RpcRefused
from protocol.rpc import Rpc
from tests.faults.lies import IN_ANSWERS, IN_BODIES, BodyLie, Lie, name_of


class LyingNode:
    """Serves the chain of `rpc`, which must not move: true answers are asked of it once. `other` is on another fork."""

    def __init__(self, rpc: Rpc, other: Rpc) -> None:
        self._rpc, self._other = rpc, other
        self._true: dict[tuple[int, str], Any] = {}
        self._dice = Random(0)
        self._lie: Lie | None = None
        self._body_lie: BodyLie | None = None
        self._mixed = self._stale = False
        self._wait = 0
        #: what was changed, in words; empty while all was true
        self.told = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def be_honest(self) -> None:
        """From now on."""
        self._lie = self._body_lie = None
        self._mixed = self._stale = False
        self.told = ""

    def plan(self, dice: Random) -> None:
        """One lie, drawn evenly over its kinds, at one of the next answers that it can be told about."""
        self.be_honest()
        self._dice, self._wait = dice, dice.randrange(6)
        kind = dice.randrange(len(IN_ANSWERS) + len(IN_BODIES) + 2)
        if kind < len(IN_ANSWERS):
            self._lie = IN_ANSWERS[kind]
        elif kind < len(IN_ANSWERS) + len(IN_BODIES):
            self._body_lie = IN_BODIES[kind - len(IN_ANSWERS)]
        elif kind == len(IN_ANSWERS) + len(IN_BODIES):
            self._mixed = True
        else:
            self._stale = True

    def answer(self, body: bytes) -> bytes:
        """The reply to one HTTP request."""
        asked = json.loads(body)
        many = isinstance(asked, list)
        answers = [self._reply(request) for request in (asked if many else [asked])]
        reply = json.dumps(answers if many else answers[0]).encode()
        if self._body_lie is not None and self._now():
            lie, self._body_lie = self._body_lie, None
            self.told = f"{name_of(lie)} body"
            return lie(reply, self._dice)
        return reply

    def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        result = self._ask(self._rpc, method, params)
        if isinstance(result, RpcRefused):
            error = {"code": result.rpc_code, "message": result.rpc_message}
            return {"jsonrpc": "2.0", "id": request["id"], "error": error}
        return {"jsonrpc": "2.0", "id": request["id"], "result": self._changed(method, params, copy.deepcopy(result))}

    def _changed(self, method: str, params: list[Any], answer: Any) -> Any:
        if self._lie is not None:
            false = self._lie(method, params, copy.deepcopy(answer), self._dice)
            if false is not None and false != answer and self._now():
                self.told, self._lie = f"{name_of(self._lie)} in {method}", None
                return false
        if self._mixed and method == "eth_getBlockReceipts" and self._now():
            false = self._of_other_fork(answer)
            if false != answer:
                self.told, self._mixed = "receipts of another fork", False
                return false
        if self._stale and params and params[0] == "latest":
            lower = max(0, int(answer["number"], 16) - 1 - self._dice.randrange(9))
            self.told = "a head that is behind"
            return self._ask(self._rpc, method, [hex(lower), *params[1:]])
        return answer

    def _of_other_fork(self, answer: Any) -> Any:
        number = int(answer[0]["blockNumber"], 16) if answer else 0
        return self._ask(self._other, "eth_getBlockReceipts", [hex(number)])

    def _now(self) -> bool:
        """Whether this is the answer to lie about; those before it were true."""
        self._wait -= 1
        return self._wait < 0

    def _ask(self, rpc: Rpc, method: str, params: list[Any]) -> Any:
        key = (id(rpc), json.dumps([method, params]))
        if key not in self._true:
            try:
                self._true[key] = rpc.call(method, *params)
            except RpcRefused as error:
                self._true[key] = error
        return self._true[key]


def _handler(node: LyingNode) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet: in two, each reply waits for the reader's delayed acknowledgement.
        wbufsize = -1

        def do_POST(self) -> None:
            reply = node.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            pass

    return Handler

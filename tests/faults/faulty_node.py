"""A node as a sender of transactions meets it: a proxy before a real one that fails, forgets and contradicts itself.

It keeps the rule that real pools have and a dev node has not: a replacement must pay 10 % more, in both fees.
"""

import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Final

from eth_account import Account

from protocol.errors import ChainError, RpcRefused
from protocol.hashing import from_hex, keccak256, to_hex
from protocol.rlp import decode_list, to_integer
from protocol.rpc import Rpc

FAULTS: Final = (
    "accepts and hangs up",
    "loses and hangs up",
    "429",
    "503",
    "truncated",
    "accepts and says already known",
    "accepts and says internal error",
    "refuses with internal error",
    "null transaction receipt",
    "nonce flaps",
    "wrong chain id",
    "stale head",
    "slow",
    "forked",
    "says that it failed",
)
_ONLY_FOR: Final = {
    "null transaction receipt": {"eth_getTransactionReceipt"},
    "nonce flaps": {"eth_getTransactionCount"},
    "wrong chain id": {"eth_chainId"},
    "stale head": {"eth_getBlockByNumber"},
    "forked": {"eth_getBlockByNumber", "eth_getTransactionReceipt"},
    "says that it failed": {"eth_getTransactionReceipt"},
}
#: the last is longer than the market waits
_SLOW_SECONDS: Final = (0.3, 1.0, 6.0)


class Hangup(Exception):
    """The connection ends without an answer."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who asked was killed before the answer."""


class FaultyNode:
    """Serves the chain of `rpc`. `begin` gives it faults, `be_well` takes them back."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._lock = threading.Lock()
        self._dice = Random(0)
        self._share = 0.0
        self._faults: tuple[str, ...] = ()
        #: (sender, nonce) → (hash, fee, priority fee) of what the pool holds
        self._pool: dict[tuple[str, int], tuple[str, int, int]] = {}
        self.told: Counter[str] = Counter()
        self.calls = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, dice: Random, share: float, faults: tuple[str, ...] | None = None) -> None:
        """From now on that share of the calls meets one of these faults, or of some that are drawn for this time."""
        with self._lock:
            self._dice = Random(dice.random())
            self._faults = faults or tuple(dice.sample(FAULTS, dice.randrange(5, 9)))
            self._share = share

    def be_well(self) -> None:
        with self._lock:
            self._share = 0.0

    def pooled(self) -> list[str]:
        """Hashes that went into the pool at some time."""
        with self._lock:
            return [held[0] for held in self._pool.values()]

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Status and reply to one HTTP request; raises `Hangup`."""
        asked = json.loads(body)
        many = isinstance(asked, list)
        requests = asked if many else [asked]
        with self._lock:
            self.calls += len(requests)
            fault = self._drawn(requests)
            wait_seconds = self._dice.choice(_SLOW_SECONDS) if fault == "slow" else 0.0
            if fault == "429":
                return 429, b'{"error": "too many requests"}'
            if fault == "503":
                return 503, b"<html>upstream is away</html>"
            answers = [self._reply(request, fault) for request in requests]
        # Others do not wait with it.
        time.sleep(wait_seconds)
        reply = json.dumps(answers if many else answers[0]).encode()
        return 200, reply[: len(reply) // 2] if fault == "truncated" else reply

    def _drawn(self, requests: list[dict[str, Any]]) -> str | None:
        """Only a fault that these calls can have."""
        methods = {request["method"] for request in requests}
        # Looks are many and broadcasts few, and it is these that a fault can cost something.
        share = min(0.9, 5 * self._share) if "eth_sendRawTransaction" in methods else self._share
        if self._dice.random() >= share:
            return None
        fitting = [
            fault
            for fault in self._faults
            if (fault not in _ONLY_FOR or _ONLY_FOR[fault] & methods)
            and (not fault.startswith(("accepts", "loses", "refuses")) or "eth_sendRawTransaction" in methods)
        ]
        if not fitting:
            return None
        fault = self._dice.choice(fitting)
        self.told[fault] += 1
        return fault

    def _reply(self, request: dict[str, Any], fault: str | None) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        try:
            if method == "eth_sendRawTransaction":
                result = self._send(params[0], fault)
            else:
                result = self._changed(method, params, self._rpc.call(method, *params), fault)
        except RpcRefused as error:
            refused = {"code": error.rpc_code, "message": error.rpc_message, "data": error.data}
            return {"jsonrpc": "2.0", "id": request["id"], "error": refused}
        except ChainError as error:
            raise Hangup from error
        return {"jsonrpc": "2.0", "id": request["id"], "result": result}

    def _changed(self, method: str, params: list[Any], answer: Any, fault: str | None) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == "finalized":
            # What is final goes by depth here, so that reorgs can be deeper than a dev node's idea of it.
            raise RpcRefused(method, -32602, "unknown block tag")
        if fault not in _ONLY_FOR or method not in _ONLY_FOR[fault]:
            return answer
        if fault == "null transaction receipt":
            return None
        if fault == "nonce flaps":
            return hex(max(0, int(answer, 16) + self._dice.choice((-2, -1, 1, 2))))
        if fault == "wrong chain id":
            return "0x1"
        if fault == "forked" and answer is not None:
            return _of_another_fork(answer)
        if fault == "says that it failed" and answer is not None:
            return {**answer, "status": "0x0"}
        if fault == "stale head" and params[0] == "latest":
            behind = max(0, int(answer["number"], 16) - self._dice.randrange(1, 6))
            return self._rpc.call(method, hex(behind), False)
        return answer

    def _send(self, raw: str, fault: str | None) -> Any:
        if fault == "loses and hangs up":
            raise Hangup
        if fault == "refuses with internal error":
            raise RpcRefused("eth_sendRawTransaction", -32603, "Internal error")
        tx_hash = self._into_pool(raw)
        if fault == "accepts and hangs up":
            raise Hangup
        if fault == "accepts and says already known":
            raise RpcRefused("eth_sendRawTransaction", -32000, "already known")
        if fault == "accepts and says internal error":
            raise RpcRefused("eth_sendRawTransaction", -32603, "Internal error")
        return tx_hash

    def _into_pool(self, raw: str) -> str:
        data = from_hex(raw)
        fields = decode_list(data[1:])
        place = (str(Account.recover_transaction(raw)), to_integer(fields[1]))
        priority_wei, fee_wei = to_integer(fields[2]), to_integer(fields[3])
        held = self._pool.get(place)
        if held is not None and held[0] != to_hex(keccak256(data)) and self._waits(held[0]):
            _hash, held_fee_wei, held_priority_wei = held
            if 10 * fee_wei < 11 * held_fee_wei or 10 * priority_wei < 11 * held_priority_wei:
                self.told["underpriced"] += 1
                raise RpcRefused("eth_sendRawTransaction", -32000, "replacement transaction underpriced")
        tx_hash = str(self._rpc.call("eth_sendRawTransaction", raw))
        self._pool[place] = (tx_hash, fee_wei, priority_wei)
        return tx_hash

    def _waits(self, tx_hash: str) -> bool:
        found = self._rpc.call("eth_getTransactionByHash", tx_hash)
        return found is not None and found["blockNumber"] is None


def _of_another_fork(answer: dict[str, Any]) -> dict[str, Any]:
    """The same block has the same other hash in all answers."""
    return answer | {
        name: to_hex(keccak256(from_hex(answer[name]))) for name in ("hash", "blockHash") if answer.get(name)
    }


def _handler(node: FaultyNode) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body in one packet: in two, each reply waits for the reader's delayed acknowledgement.
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                status, reply = node.answer(body)
            except Hangup:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            pass

    return Handler

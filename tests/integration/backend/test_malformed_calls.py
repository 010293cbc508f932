"""Whatever comes through the port, the market does not fail on its side, answers everybody, and goes on."""

import asyncio
import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import httpx
import pytest

from tests.support.accounts_market import Somebody
from tests.support.lone_server import LoneServer, lone_server
from tests.support.malformed_calls import Call, broken
from tests.unit.backend.test_two_users import requests_to, things_of

pytestmark = [pytest.mark.node, pytest.mark.timeout(1200)]

CALLS: Final = int(os.environ.get("CALLS", "2000"))
"""Ten thousand, or more, in a campaign of its own."""
_ROUNDS: Final = 20
"""Each with an account of its own: calls delete things, end sessions and revoke keys."""
_ENDS_THINGS: Final = frozenset({"end_session", "revoke_key", "rotate_key", "end_upload", "delete_webhook"})
"""Rarely called: after them others are only refused."""
_AT_ONCE: Final = 16
_HANGS_SECONDS: Final = 20
_ENOUGH: Final = 1 << 20
_MORE_MEMORY_BYTES: Final = 96 << 20
#: but `100 Continue`, which is no answer
_STATUS: Final = re.compile(rb"^HTTP/1\.[01] ([2-5]\d\d) ", re.MULTILINE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneServer]:
    with lone_server(tmp_path_factory.mktemp("market")) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Heard:
    """All that came back on a connection."""

    statuses: tuple[int, ...]
    head: dict[str, str]
    body: bytes


def honest_calls(somebody: Somebody) -> list[Call]:
    """Each route with somebody's own things, by session and by API key."""
    things = things_of(somebody)
    calls = []
    for operation, method, path, options in requests_to(somebody.world, somebody, things):
        body = json.dumps(options["json"]).encode() if "json" in options else options.get("content", b"")
        headers = {**options.get("headers", {}), **({"content-type": "application/json"} if "json" in options else {})}
        for token in (somebody.token, somebody.made["key"]):
            pairs = tuple(
                (name.encode(), value.encode())
                for name, value in {**headers, "authorization": f"Bearer {token}"}.items()
            )
            names = tuple(value.encode() for value in things.ids.values() if value in path)
            call = Call(method=method.encode(), path=path.encode(), names=names, headers=pairs, body=body)
            calls += [call] if operation in _ENDS_THINGS else [call] * 10
    return calls


async def ask(port: int, call: Call) -> Heard:
    """A whole call is waited for; of one that lacks something only what comes soon is heard."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_ENOUGH)
    heard = b""
    try:
        async with asyncio.timeout(_HANGS_SECONDS if call.is_whole else 0.2):
            writer.write(call.raw())
            while len(heard) < _ENOUGH and b"text/event-stream" not in heard and (piece := await reader.read(65_536)):
                heard += piece
    except ConnectionError:
        # It closed while we still spoke.
        pass
    except TimeoutError:
        assert not call.is_whole, f"no answer after {_HANGS_SECONDS} s"
    finally:
        writer.close()
    head, _, body = heard.partition(b"\r\n\r\n")
    pairs = (line.partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
    fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
    return Heard(tuple(int(status) for status in _STATUS.findall(heard)), fields, body)


def fault_of(call: Call, heard: Heard) -> str | None:
    """Why an answer is none that the market may give."""
    if any(status >= 500 for status in heard.statuses):
        return "failed on our side"
    if call.framed is not None or not call.is_whole:
        return None
    if len(heard.statuses) != 1:
        return f"{len(heard.statuses)} answers to one call"
    status = heard.statuses[0]
    is_ours = call.path.startswith(b"/v1/") and b"/ledger" not in call.path
    if status < 400 or not is_ours or call.method == b"HEAD" or "x-request-id" not in heard.head:
        return None
    if heard.head.get("content-type") != "application/problem+json":
        return "a refusal that is no problem"
    problem: dict[str, Any] = json.loads(heard.body)
    return None if problem["status"] == status and problem["code"] and problem["detail"] else "an empty problem"


def campaign(served: LoneServer, random: Random, calls: int, faults: list[Any]) -> Counter[int]:
    """One account's calls, some at a time; how often each status came."""
    somebody = served.world.somebody(f"round {random.random()}")
    honest, seen = honest_calls(somebody), Counter[int]()
    given = iter(range(calls))

    async def caller() -> None:
        for _ in given:
            call = broken(random, honest)
            heard = await ask(served.port, call)
            if fault := fault_of(call, heard):
                faults.append((fault, call.raw()[:2000], heard.statuses, heard.body[:400]))
            seen.update(heard.statuses)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(caller())

    asyncio.run(all_of_them())
    return seen


def test_malformed_calls_and_no_failure_of_ours(served: LoneServer) -> None:
    seen, faults, memory = Counter[int](), list[Any](), list[int]()
    for number in range(_ROUNDS):
        seen += campaign(served, Random(number), CALLS // _ROUNDS, faults)
        memory.append(served.resident_bytes())
    assert faults == []
    assert served.is_alive()
    # A campaign that is refused at the door tests nothing: all kinds of answer must occur.
    assert {200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 411, 412, 413, 422} <= set(seen), seen
    assert sum(count for status, count in seen.items() if status < 300) > CALLS / 10
    assert memory[-1] - memory[_ROUNDS // 4] < _MORE_MEMORY_BYTES, [size >> 20 for size in memory]
    answered_as_ever(served)


def answered_as_ever(served: LoneServer) -> None:
    """Somebody honest gets through."""
    somebody = served.world.somebody("honest")
    things = things_of(somebody)
    headers = {"authorization": f"Bearer {somebody.made['key']}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=10) as http:
        assert http.get("/v1/account").json()["address"] == somebody.address
        assert http.get(f"/v1/jobs/{things.ids['job_id']}").json()["state"] == "queued"
        assert http.get(f"/v1/files/{things.ids['cid']}").content == b"A's own bytes"
    assert '"request.failed"' not in served.log.read_text()


HIDDEN: Final = b"GET /v1/chain HTTP/1.1\r\nHost: market.test\r\n\r\n"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"0\r\n\r\n" + HIDDEN),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n" + HIDDEN),
        ([b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN)], HIDDEN),
        ([b"Content-Length: %d" % len(HIDDEN), b"Content-Length: 0"], HIDDEN),
        ([b"Content-Length: 0, %d" % len(HIDDEN)], HIDDEN),
        ([b"Transfer-Encoding : chunked", b"Content-Length: 5"], b"0\r\n\r\n" + HIDDEN),
        ([b"Transfer-Encoding:\x0bchunked", b"Content-Length: 5"], b"0\r\n\r\n" + HIDDEN),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Content-Length: 5"], b"0\r\n\r\n" + HIDDEN),
        ([b"Transfer-Encoding: xchunked"], b"0\r\n\r\n" + HIDDEN),
        ([b"X: y\rContent-Length: 0"], HIDDEN),
        ([b"Transfer-Encoding: chunked"], b"0\r\nX: y\r\n\nGET" + HIDDEN),
        ([b"Transfer-Encoding: chunked"], b"0;\n" + HIDDEN),
    ],
)
@pytest.mark.parametrize("target", [b"PUT /v1/files/x", b"POST /v1/auth/nonce"])
def test_a_request_that_is_hidden_in_anothers_body_is_answered_by_nobody(
    served: LoneServer, target: bytes, framing: list[bytes], body: bytes
) -> None:
    """What stands before a proxy may read such lengths otherwise than we do; so nobody may get any further by them."""
    raw = b"\r\n".join([target + b" HTTP/1.1", b"Host: market.test", *framing, b"", b""]) + body
    with socket.create_connection(("127.0.0.1", served.port), timeout=1) as line:
        line.sendall(raw)
        heard = b""
        with suppress(TimeoutError, ConnectionError):
            while piece := line.recv(65_536):
                heard += piece
    assert b"chain_id" not in heard

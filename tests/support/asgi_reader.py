"""A program that reads `/v1/ledger` in process: whole answers, or an endless one until it has seen enough."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi import FastAPI

Headers = dict[str, str]


@dataclass
class Answer:
    status: int = 0
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    #: whether the server ended it
    complete: bool = False

    def json(self) -> Any:
        return orjson.loads(self.body)


def scope_of(path: bytes, query: bytes = b"", headers: Headers | None = None, method: str = "GET") -> dict[str, Any]:
    """As a server makes it of a request line; the path may hold any bytes."""
    sent = {"host": "explorer.test", **(headers or {})}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("explorer.test", 80),
        "state": {},
    }


async def ask(
    app: FastAPI,
    url: str,
    headers: Headers | None = None,
    *,
    enough: Callable[[bytes], bool] | None = None,
    between: Callable[[bytes], Any] | None = None,
    takes: Callable[[], Any] | None = None,
) -> Answer:
    """`enough`: leaves when what came so far suffices; `between`: called with it after each piece.

    `takes`: an awaitable before each piece is taken, for a client that is slow.
    """
    path, _, query = url.partition("?")
    return await exchange(app, scope_of(path.encode(), query.encode(), headers), enough, between, takes)


async def exchange(
    app: FastAPI,
    scope: dict[str, Any],
    enough: Callable[[bytes], bool] | None = None,
    between: Callable[[bytes], Any] | None = None,
    takes: Callable[[], Any] | None = None,
) -> Answer:
    answer, left, asked = Answer(), asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if takes is not None:
            await takes()
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
            return
        answer.body += message.get("body", b"")
        answer.complete = not message.get("more_body", False)
        if between is not None:
            between(answer.body)
        if enough is not None and enough(answer.body):
            left.set()

    await app(scope, receive, send)
    return answer


def read(app: FastAPI, url: str, **headers: str) -> Answer:
    """A whole answer."""
    return asyncio.run(ask(app, url, {name.replace("_", "-"): value for name, value in headers.items()}))

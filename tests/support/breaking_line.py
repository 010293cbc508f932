"""A line between client and market that breaks when it is told to, at a byte of either direction."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class LineBroke(Exception):
    """The server closes the connection on it, in the middle of whatever it said."""


@dataclass
class BreakingLine:
    """`breaks`: for each request to come that `concerns`, after how many bytes the line breaks; then it holds."""

    app: Any
    concerns: Callable[[dict[str, Any]], bool]
    #: of the answer's body
    breaks_answer: list[int] = field(default_factory=list)
    #: of the request's body
    breaks_request: list[int] = field(default_factory=list)
    #: (method, path, headers) of each request that concerned it
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not self.concerns(scope):
            await self.app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["method"], scope["path"], headers))
        if self.breaks_request:
            await self._broken_request(scope, receive, send, self.breaks_request.pop(0))
        elif self.breaks_answer:
            await _broken_answer(self.app, scope, receive, send, self.breaks_answer.pop(0))
        else:
            await self.app(scope, receive, send)

    async def _broken_request(self, scope: dict[str, Any], receive: Any, send: Any, left: int) -> None:
        """The app gets the first bytes and then hears that the client is gone; nobody hears what it answers."""

        async def broken_receive() -> dict[str, Any]:
            nonlocal left
            if left <= 0:
                return {"type": "http.disconnect"}
            message: dict[str, Any] = await receive()
            body = message.get("body", b"")[:left]
            left -= len(body)
            return {"type": "http.request", "body": body, "more_body": True}

        await self.app(scope, broken_receive, _unheard)
        await break_line(send)


async def _unheard(_message: dict[str, Any]) -> None:
    return


async def lose_answer(app: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The app does its work, and its answer does not arrive."""
    await app(scope, receive, _unheard)
    await break_line(send)


async def break_line(send: Any) -> None:
    """An answer that stops after its head: without one the server would say 500, and a broken line says nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    raise LineBroke


async def _broken_answer(app: Any, scope: dict[str, Any], receive: Any, send: Any, left: int) -> None:
    """The client gets the first bytes; the app hears that it is gone."""
    gone = asyncio.Event()

    async def broken_send(message: dict[str, Any]) -> None:
        nonlocal left
        if gone.is_set():
            return
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            if len(body) >= left:
                gone.set()
                await send({"type": "http.response.body", "body": body[:left], "more_body": True})
                return
            left -= len(body)
        await send(message)

    async def broken_receive() -> dict[str, Any]:
        ways = [asyncio.ensure_future(receive()), asyncio.ensure_future(gone.wait())]
        done, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in rest:
            way.cancel()
        message: dict[str, Any] = ways[0].result() if ways[0] in done else {"type": "http.disconnect"}
        return message

    await app(scope, broken_receive, broken_send)
    if gone.is_set():
        raise LineBroke

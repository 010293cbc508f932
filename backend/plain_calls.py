"""The few calls that come a hundred times a second, read without the framework: it takes longer to take one apart than
most of what is done for it.

Each has its route in the framework as well. That one documents the call, and takes whatever is unusual about one: a
query, another content type, a body that is not as it should be.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import Message, Receive, Scope, Send

M = TypeVar("M", bound=BaseModel)
Answer = Callable[[Request], Awaitable[Response | None]]
"""What is said to a call; None if the framework is to read it. What it raises is answered as any route's."""

_UNUSUAL: Final = "gridlease.unusual"


class PlainCall(BaseRoute):
    """One method and path without a query."""

    def __init__(self, method: str, path: str, answer: Answer) -> None:
        self.method, self.path, self._answer = method, path, answer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_ours = scope["type"] == "http" and scope["path"] == self.path and scope["method"] == self.method
        if not is_ours or scope["query_string"] or _UNUSUAL in scope:
            return Match.NONE, {}
        return Match.FULL, {"route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        response = await self._answer(request)
        if response is None:
            scope[_UNUSUAL] = True
            await scope["router"](scope, _again(body, receive), send)
        else:
            await response(scope, receive, send)


def install(app: FastAPI, calls: tuple[PlainCall, ...]) -> None:
    """Asks for these before all other routes that the app has by now."""
    app.router.routes[:] = [*calls, *(route for route in app.router.routes if route not in calls)]


async def plain_body(request: Request, kind: type[M]) -> M | None:
    """The body as the framework would give it; None where it might have something to say."""
    if request.headers.get("content-type") != "application/json":
        return None
    try:
        return kind.model_validate(json.loads(await request.body()))
    except (ValueError, RecursionError):
        return None


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes."""
    is_said = False

    async def say() -> Message:
        nonlocal is_said
        if is_said:
            return await receive()
        is_said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return say

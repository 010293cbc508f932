"""What is refused before any route sees it: a name that no database could hold, and a body that is too long, of unknown
length, or too slow."""

import asyncio
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import problems
from backend.errors import TooSlow, status_of

#: their routes take parts of a size of their own
_FILES: Final = "/v1/files/"


class BoundedBodies:
    """Plain ASGI, because the framework's own way to wrap a request costs as much as to answer it."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refusal(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await refused(scope, receive, send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            # PostgreSQL takes no NUL in a text, not even to look for one.
            return problems.problem(400, "bad_request", "the URL holds a NUL", "no name here has one")
        if scope["path"].startswith(_FILES):
            return None
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            detail = f"a body may have {self._most} bytes"
            return problems.problem(413, "too_large", detail, "put large data into a file")
        if "transfer-encoding" in headers:
            # A body of unknown length would be read into memory before anybody could say that it is too long.
            return problems.problem(411, "length_required", "the body has no length", "send Content-Length")
        return None


class SteadyBodies:
    """Plain ASGI: a body must keep up an average, or its request ends with 408 and its connection with it."""

    def __init__(self, app: ASGIApp, *, bytes_per_second: int, grace_seconds: float) -> None:
        self._app = app
        self._rate = bytes_per_second
        self._grace = grace_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, received, whole = time.monotonic(), 0, False
        late, answered = False, False

        async def steady() -> Message:
            nonlocal received, whole, late
            if whole:
                return await receive()
            left = begun + self._grace + received / self._rate - time.monotonic()
            try:
                # `wait_for` would make a task of it, though most bodies are here already.
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                late = True
                raise TooSlow(f"the body came at less than {self._rate} bytes a second") from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            return message

        async def unless_late(message: Message) -> None:
            nonlocal answered
            if late and not answered:
                # What the app makes of the fault; ours says it better.
                return
            answered = True
            await send(message)

        try:
            await self._app(scope, steady, unless_late)
        except TooSlow:
            if answered:
                raise
        if late and not answered:
            error = TooSlow(f"the body came at less than {self._rate} bytes a second")
            answer = problems.refusal(error, status_of(error))
            answer.headers["connection"] = "close"
            await answer(scope, receive, send)

"""What is refused before any route sees it: a body that is too long, or that does not say how long it is."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend import problems

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

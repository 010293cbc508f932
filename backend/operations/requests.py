"""Around every request: its id, which answer and logs carry, and what Prometheus counts.

Plain ASGI, because the framework's own way to wrap a request costs as much as to answer it.
"""

import re
import time
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from backend.operations import metrics
from protocol.ids import new_id

HEADER: Final = "X-Request-Id"
_HEADER: Final = HEADER.lower().encode()
_SANE: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNKNOWN: Final = "none"
"""The route of what no route took: paths are the caller's to invent, labels are not."""


def current_request_id() -> str:
    """Of the request that is being answered; a new one outside of any."""
    found = get_contextvars().get("request_id")
    return found if isinstance(found, str) else new_id("req")


class Requests:
    """The outermost layer of the market's app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = _request_id(scope)
        status = 500

        async def say(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"])[HEADER] = request_id
                metrics.REQUEST_SECONDS.labels(route=_route(scope)).observe(time.perf_counter() - begun)
            await send(message)

        clear_contextvars()
        bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, say)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            metrics.REQUESTS.labels(method=method, route=_route(scope), status=status).inc()


def _request_id(scope: Scope) -> str:
    """The caller's own, if it is one; whoever calls through a proxy finds its request in our logs."""
    for name, value in scope["headers"]:
        if name == _HEADER and _SANE.fullmatch(value):
            return str(value, "ascii")
    return new_id("req")


def _route(scope: Scope) -> str:
    """The route as it is written, such as /v1/jobs/{job_id}."""
    path: Any = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else _UNKNOWN

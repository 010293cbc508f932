"""What is refused before any route sees it."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from explorer.failures import Failure
from explorer.responses import refuse

_NOT_ASCII: Final = Failure(
    status=400,
    code="malformed",
    title="The query is not ASCII",
    detail="A URL has ASCII only; other characters are percent-encoded",
    remedy="percent-encode the query",
)


class AsciiQueries:
    """Servers pass any byte of a query on, and the framework takes it for UTF-8 wherever it makes a URL of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["query_string"].isascii():
            await refuse(_NOT_ASCII, scope, receive, send)
            return
        await self._app(scope, receive, send)

"""A long answer, piece by piece: no piece is made before the one before it was taken."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_log = structlog.get_logger()


class Streamed(Response):
    """Ends when its pieces end, when the client leaves, or when it takes nothing for `stall_seconds`."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: dict[str, str],
        stall_seconds: float,
        done: Callable[[], Any],
    ) -> None:
        """`done` is called once, however it ends."""
        super().__init__(media_type=media_type, headers=headers)
        # Its length is not known before its end.
        del self.headers["content-length"]
        self._pieces, self._stall_seconds, self._done = pieces, stall_seconds, done

    async def dismiss(self) -> None:
        """It will not be sent: HEAD has its headers and wants no more."""
        await self._pieces.aclose()
        self._done()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({body, gone}, return_when=asyncio.FIRST_COMPLETED)
            if body.done():
                body.result()
        except TimeoutError:
            _log.info("explorer.slow_client_dropped", path=scope["path"])
            # Without a last piece the server cuts the connection, so that nobody takes half an answer for all.
            raise
        finally:
            for task in (body, gone):
                task.cancel()
            await asyncio.gather(body, gone, return_exceptions=True)
            self._done()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for piece in pieces:
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(message), self._stall_seconds)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

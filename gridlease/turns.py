"""Requests begin one after another, first come first served."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send


class Turns:
    """The outermost layer of an app whose answers are made on the event loop.

    All requests that wait would begin in the same turn of the loop, and whoever asks just after it began would wait for
    all of them, and then for as many again that came a moment later. So each turn begins one, and the loop looks who
    else has asked before the next.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._turn.acquire()
            # In the loop's next turn: this one is for this request, until it waits for something.
            asyncio.get_running_loop().call_soon(self._turn.release)
        await self._app(scope, receive, send)

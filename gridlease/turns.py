"""Requests begin one after another: first come first served, buyers in turn with all others."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from gridlease.fair_queue import FairQueue


class Turns:
    """The outermost layer of an app whose answers are made on the event loop.

    All requests that wait would begin in the same turn of the loop, and whoever asks just after it began would wait for
    all of them, and then for as many again that came a moment later. So each turn begins one, and the loop looks who
    else has asked before the next. Those that are `is_first` wait for fewer others (gridlease/fair_queue.py).
    """

    def __init__(self, app: ASGIApp, is_first: Callable[[Scope], bool] = lambda _: False) -> None:
        self._app, self._is_first = app, is_first
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._is_taken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.stand_in_line(is_first=self._is_first(scope))
        await self._app(scope, receive, send)

    async def stand_in_line(self, *, is_first: bool = False) -> None:
        """Returns when a request that came now begins."""
        await self._turn(is_first=is_first)
        # In the loop's next turn: this one is for this request, until it waits for something.
        asyncio.get_running_loop().call_soon(self._pass_on)

    async def _turn(self, *, is_first: bool) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine, is_first=is_first)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                # It had the turn already.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            waiting = self._waiting.take()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._is_taken = False


def buys(scope: Scope) -> bool:
    """Whether the request is a buyer's that buys."""
    return scope["method"] == "POST" and scope["path"] in ("/v1/jobs", "/v1/orders")

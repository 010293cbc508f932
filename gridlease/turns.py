"""Requests begin one after another: first come first served, buyers in turn with all others."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_MOST_IN_A_ROW: Final = 3


class Turns:
    """The outermost layer of an app whose answers are made on the event loop.

    All requests that wait would begin in the same turn of the loop, and whoever asks just after it began would wait for
    all of them, and then for as many again that came a moment later. So each turn begins one, and the loop looks who
    else has asked before the next. Of those that wait three of four are `is_first`, as long as there are so many: a
    wave of reports, which providers may send at once and have a notice's time for, keeps no buyer from beginning.
    """

    def __init__(self, app: ASGIApp, is_first: Callable[[Scope], bool] = lambda _: False) -> None:
        self._app, self._is_first = app, is_first
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        #: so many that are first have begun since another one did
        self._in_a_row = 0
        self._is_taken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._turn(self._first if self._is_first(scope) else self._others)
            # In the loop's next turn: this one is for this request, until it waits for something.
            asyncio.get_running_loop().call_soon(self._pass_on)
        await self._app(scope, receive, send)

    async def _turn(self, queue: deque[asyncio.Future[None]]) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                # It had the turn already.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._first or self._others:
            is_first = bool(self._first) and not (self._in_a_row >= _MOST_IN_A_ROW and self._others)
            waiting = (self._first if is_first else self._others).popleft()
            if not waiting.done():
                self._in_a_row = self._in_a_row + 1 if is_first else 0
                waiting.set_result(None)
                return
        self._is_taken = False


def buys(scope: Scope) -> bool:
    """Whether the request is a buyer's that buys."""
    return scope["method"] == "POST" and scope["path"] in ("/v1/jobs", "/v1/orders")

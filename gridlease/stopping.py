"""A server that stops without cutting anybody off."""

import threading
import time
from types import FrameType

import uvicorn


class PoliteServer(uvicorn.Server):
    """On SIGTERM says that it is draining, goes on for a moment, then stops to listen and ends what it has begun.

    The moment is for a load balancer, which sends requests until it has looked again. Requests that only wait are
    told by `draining` to answer with what there is.
    """

    def __init__(self, config: uvicorn.Config, draining: threading.Event, drain_seconds: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._drain_seconds = drain_seconds
        self._exit: tuple[float, int, FrameType | None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._exit is not None:
            # Somebody who does not want to wait.
            super().handle_exit(sig, frame)
            return
        self._draining.set()
        self._exit = (time.monotonic() + self._drain_seconds, sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._exit is not None and time.monotonic() >= self._exit[0] and not self.should_exit:
            super().handle_exit(*self._exit[1:])
        return await super().on_tick(counter)

"""The HTTP server's own protocol with deadlines: a connection that never finishes a request is not kept.

The server begins an app only when a request's head is whole, so no app can time a head. Bodies are timed by the market
(backend/bodies.py), as long as somebody reads them. Nor can an app time what it has handed over: an answer that its
client does not take stays in memory, and its connection open, for as long as the client likes.
"""

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PunctualProtocol(HttpToolsProtocol):
    """Closes a connection whose head, or the rest of a body that nobody wants, takes longer than `head_seconds`.

    One whose client takes fewer than `taken_bytes` of what waits for it, in `stall_seconds`, is cut off.
    """

    def __init__(
        self, *arguments: Any, head_seconds: float, stall_seconds: float, taken_bytes: int, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._head_seconds, self._stall_seconds, self._taken_bytes = head_seconds, stall_seconds, taken_bytes
        self._watch: asyncio.TimerHandle | None = None
        self._untaken_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._in_message = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._look_away()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_on()

    def resume_writing(self) -> None:
        self._look_away()
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._in_message = True
        self._arm()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message:
            # Answered before its body was whole: the rest may come, but not for ever.
            self._arm()
        if self.transport.get_write_buffer_size():
            # Also less than makes writing pause.
            self._look_on()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._head_seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_LATE)
        self.transport.close()

    def _look_on(self) -> None:
        if self._watch is None:
            self._untaken_bytes = self.transport.get_write_buffer_size()
            self._watch = asyncio.get_running_loop().call_later(self._stall_seconds, self._look)

    def _look_away(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _look(self) -> None:
        self._watch = None
        left = self.transport.get_write_buffer_size()
        if left and left > self._untaken_bytes - self._taken_bytes:
            # To close would wait for the client to take it.
            self.transport.abort()
        elif left:
            self._look_on()


def punctual(head_seconds: float, stall_seconds: float, bytes_per_second: int) -> Any:
    """For uvicorn's `http`; a client must take so many bytes a second on average of what waits for it."""
    taken_bytes = max(1, int(bytes_per_second * stall_seconds))
    return partial(PunctualProtocol, head_seconds=head_seconds, stall_seconds=stall_seconds, taken_bytes=taken_bytes)

"""Wakes the follower when a node has a new block: a WebSocket subscription, with polling behind it.

What a notification says is never used: it only ends a wait. So a node that sends none, or false ones, costs time alone.
"""

import contextlib
import json
import threading
from typing import Final

import structlog
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.sync.connection import Connection

log = structlog.get_logger(__name__)

_SUBSCRIBE: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]})
_CONNECT_SECONDS: Final = 5.0
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.5, 60.0
#: what a header needs, with room; a node that sends more is cut off
_LONGEST_MESSAGE: Final = 1 << 20


class NewHeads:
    """One subscription, on a thread of its own; it connects again by itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._news = threading.Event()
        self._subscribed = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="new-heads", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; whoever waits is woken."""
        self._stop.set()
        self._news.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError, WebSocketException):
                connection.close()
        self._thread.join(_CONNECT_SECONDS + 1)

    @property
    def subscribed(self) -> bool:
        """Whether the node has promised to tell."""
        return self._subscribed.is_set()

    def wait(self, seconds: float) -> bool:
        """Until there is news, at most `seconds`; whether there was."""
        if not self._news.wait(seconds):
            # Not cleared: news that came since the time was up is for the next wait.
            return False
        self._news.clear()
        return True

    def _run(self) -> None:
        wait = _FIRST_RETRY_SECONDS
        warned = False
        while not self._stop.is_set():
            try:
                with connect(self._url, open_timeout=_CONNECT_SECONDS, max_size=_LONGEST_MESSAGE) as connection:
                    self._connection = connection
                    self._listen(connection)
                wait, warned = _FIRST_RETRY_SECONDS, False
            except (OSError, TimeoutError, WebSocketException, ValueError) as error:
                if not warned:
                    log.info("subscription.none", reason=str(error) or type(error).__name__)
                warned = True
            finally:
                self._connection = None
                self._subscribed.clear()
                # Blocks may have come while nobody listened.
                self._news.set()
            self._stop.wait(wait)
            wait = min(_LAST_RETRY_SECONDS, wait * 2)

    def _listen(self, connection: Connection) -> None:
        connection.send(_SUBSCRIBE)
        answer = json.loads(connection.recv(_CONNECT_SECONDS))
        if not isinstance(answer, dict) or "result" not in answer:
            raise ValueError("the node takes no subscriptions")
        self._subscribed.set()
        log.info("subscription.made")
        for _ in connection:
            self._news.set()
            if self._stop.is_set():
                return

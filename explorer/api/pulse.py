"""Whether anything can be new: the mirror's state, looked up once for all streams of a moment."""

import time

from indexer.queries import Mirror
from protocol.errors import MirrorError


class Pulse:
    """Remembers the state for half of the streams' interval."""

    def __init__(self, mirror: Mirror, poll_seconds: float) -> None:
        self._mirror, self._seconds = mirror, poll_seconds / 2
        self._looked = float("-inf")
        self._state: object | None = None

    def state(self) -> object | None:
        """Equal as long as no block came or went; None while there is no mirror."""
        if time.monotonic() - self._looked >= self._seconds:
            try:
                status = self._mirror.status()
                self._state = (status.block_hash, status.reorg_epoch)
            except MirrorError:
                self._state = None
            self._looked = time.monotonic()
        return self._state

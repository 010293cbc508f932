"""Several nodes, one in use: another takes over when it fails, lies, or stays behind.

Only one node is believed at a time and each block is checked against its own hash and its parent's, so answers of two
nodes on different forks cannot mix. A node that is behind is never a reorg: it is left for one that is ahead.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from indexer.errors import BadBlock
from indexer.source import NodeHead, Source, VerifiedBlock
from protocol.errors import BadProof, GridleaseError
from protocol.rpc import Rpc

log = structlog.get_logger(__name__)

_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS = 1.0, 60.0
#: one that lied is not asked again soon
_LIAR_REST_SECONDS: Final = 300.0
_LIES: Final = (BadBlock, BadProof)


@dataclass(slots=True)
class Health:
    """What is known of one node."""

    failures: int = 0
    #: lies that were caught: answers that fit no hash
    lies: int = 0
    #: newest block it has named
    head: int = 0
    last_error: str = ""
    #: monotonic; not asked before
    rests_until: float = 0.0


class Pool:
    """Nodes in the order of preference. It is used as one `Source`."""

    def __init__(self, sources: Sequence[Source], now: Callable[[], float] = time.monotonic) -> None:
        if not sources:
            raise ValueError("a pool needs a node")
        self._sources = list(sources)
        self._now = now
        self._current = 0
        self.health = [Health() for _ in sources]

    @property
    def rpc(self) -> Rpc:
        """Of the node in use."""
        return self._sources[self._current].rpc

    @property
    def current(self) -> int:
        """Which one is in use."""
        return self._current

    def identity(self) -> tuple[int, str]:
        """Chain id and hash of block 0, of the node in use."""
        return self._sources[self._current].identity()

    def head(self) -> NodeHead:
        found = self._sources[self._current].head()
        self.health[self._current].head = found.number
        return found

    def hash_at(self, number: int) -> bytes | None:
        return self._sources[self._current].hash_at(number)

    def hashes_at(self, numbers: Sequence[int]) -> list[bytes | None]:
        return self._sources[self._current].hashes_at(numbers)

    def blocks(self, first: int, last: int, parent_hash: bytes | None) -> list[VerifiedBlock]:
        found = self._sources[self._current].blocks(first, last, parent_hash)
        self.health[self._current].failures = 0
        return found

    def failed(self, error: Exception) -> bool:
        """The node in use failed: it rests, and whether another takes over."""
        self._rest(self._current, error)
        return self._switch("lied" if isinstance(error, _LIES) else "failed", str(error))

    def behind(self, wanted: int) -> bool:
        """The node in use does not have block `wanted`: whether another that has it takes over."""
        for index, source in enumerate(self._sources):
            if index == self._current or self._now() < self.health[index].rests_until:
                continue
            try:
                number = source.head().number
            except GridleaseError as error:
                self._rest(index, error)
                continue
            self.health[index].head = number
            if number >= wanted:
                self._use(index, "behind", f"it has no block {wanted}")
                return True
        return False

    def _rest(self, index: int, error: Exception) -> None:
        health, lied = self.health[index], isinstance(error, _LIES)
        health.failures += 1
        health.lies += lied
        health.last_error = str(error)
        doubled = _FIRST_REST_SECONDS * 2 ** min(health.failures - 1, 10)
        health.rests_until = self._now() + (_LIAR_REST_SECONDS if lied else min(_LONGEST_REST_SECONDS, doubled))

    def _switch(self, why: str, said: str) -> bool:
        ready = [
            index
            for index, health in enumerate(self.health)
            if index != self._current and self._now() >= health.rests_until
        ]
        if not ready:
            return False
        self._use(ready[0], why, said)
        return True

    def _use(self, index: int, why: str, said: str) -> None:
        log.warning("source.changed", left=self._current, took=index, why=why, said=said)
        self._current = index

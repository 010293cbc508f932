"""Blocks in ranges that fit the node, the next range on its way while the last one is stored."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import structlog

from indexer.pool import Pool
from indexer.ranges import RangeSize
from indexer.source import Source, VerifiedBlock
from protocol.errors import NodeUnavailable, RpcRefused
from protocol.proofs import Header

log = structlog.get_logger(__name__)

_FIRST_BLOCKS: Final = 32

Key = tuple[int, bytes | None]


class Ahead:
    """Fetches in order, one range ahead at most: memory holds two ranges."""

    def __init__(self, source: Source | Pool, most_blocks: int) -> None:
        self._source = source
        self._most_blocks = most_blocks
        #: by node: what one refuses, another may take
        self._sizes: dict[int, RangeSize] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._coming: tuple[Key, Future[list[VerifiedBlock]]] | None = None

    def close(self) -> None:
        """Waits for what is on its way."""
        if self._thread is not None:
            self._thread.shutdown()

    def take(self, first: int, newest: int, parent_hash: bytes | None) -> list[VerifiedBlock]:
        """Blocks from `first` on, which follow `parent_hash`; raises what `Source.blocks` raises."""
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] == (first, parent_hash):
            return coming[1].result()
        return self._fetch(first, newest, parent_hash)

    def fetch(self, after: Header, newest: int) -> None:
        """Begins to fetch what follows `after`, if there is more."""
        if after.number >= newest:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        key = (after.number + 1, after.hash)
        self._coming = (key, self._thread.submit(self._fetch, key[0], newest, key[1]))

    def _fetch(self, first: int, newest: int, parent_hash: bytes | None) -> list[VerifiedBlock]:
        size = self._size()
        while True:
            last = min(newest, first + size.blocks - 1)
            asked, begun = last - first + 1, time.monotonic()
            try:
                blocks = self._source.blocks(first, last, parent_hash)
            except (NodeUnavailable, RpcRefused) as error:
                if not size.refused(asked, error):
                    raise
                log.info("range.split", first=first, asked=asked, next=size.blocks, said=str(error))
                continue
            size.answered(asked, time.monotonic() - begun)
            return blocks

    def _size(self) -> RangeSize:
        node = self._source.current
        if node not in self._sizes:
            self._sizes[node] = RangeSize(min(_FIRST_BLOCKS, self._most_blocks), self._most_blocks)
        return self._sizes[node]

"""The downloadable proofs, from what the mirror stores and a node's storage proofs, checked like a reader would.

Building a block's receipts trie is work for the CPU, so it takes a thread; the bytes are kept per request and reorg
epoch, because an open lease page asks for them again with every block.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeAlias

from starlette.concurrency import run_in_threadpool

from indexer.bundles.make import Bundles
from indexer.queries import Mirror
from protocol.bundle import verify_event
from protocol.errors import BadProof, MirrorError

_KEPT: Final = 256
_Key: TypeAlias = tuple[object, ...]


class NoBundles(Exception):
    """This explorer was given neither the mirror's file nor a node to make such proofs from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether a proof verified just now."""

    #: None: it could not be built
    holds: bool | None
    says: str


class Proofs:
    """Proof files of one mirror."""

    def __init__(self, mirror: Mirror, bundles: Bundles | None = None) -> None:
        self._mirror = mirror
        self._bundles = bundles
        self._lock = Lock()
        self._files: OrderedDict[_Key, bytes] = OrderedDict()

    async def fetch(self, tx_hash: bytes, log_index: int) -> bytes:
        """The canonical proof.json of a log; raises `MirrorError` where the mirror holds no such log."""
        return await self._kept((tx_hash, log_index), lambda: self._mirror.proof(tx_hash, log_index))

    async def check(self, tx_hash: bytes, log_index: int, block_hash: bytes) -> Outcome:
        """Builds the proof and verifies it against the mirror's block hash, as a reader would offline."""
        try:
            content = await self.fetch(tx_hash, log_index)
            verify_event(content, [block_hash])
        except MirrorError:
            return Outcome(holds=None, says="the mirror is changing; load the page again")
        except BadProof as error:
            return Outcome(holds=False, says=str(error))
        return Outcome(holds=True, says=f"proof.json, {len(content):,} bytes, verifies step by step")

    async def lease(self, lease: bytes, block_number: int | None) -> bytes:
        """The lease's storage at a block, or at the newest; raises what `Bundles` raises, and `NoBundles`."""
        bundles, number = self._made_by(), self._newest(block_number)
        return await self._kept(("lease", lease, number), lambda: bundles.lease(lease, number))

    async def absence(self, first: int, last: int) -> bytes:
        """Blocks without a log of the ledger; raises what `Bundles` raises, and `NoBundles`."""
        bundles = self._made_by()
        return await self._kept(("absence", first, last), lambda: bundles.absence(first, last))

    async def history(self, first: int | None, last: int | None) -> bytes:
        """The ledger's head, or those of a range; raises what `Bundles` raises, and `NoBundles`."""
        bundles, number = self._made_by(), self._newest(last)
        return await self._kept(("history", first, number), lambda: bundles.history(first, number))

    def _made_by(self) -> Bundles:
        if self._bundles is None:
            raise NoBundles
        return self._bundles

    def _newest(self, number: int | None) -> int:
        return self._mirror.status().block_number if number is None else number

    async def _kept(self, asked: _Key, make: Callable[[], bytes]) -> bytes:
        return await run_in_threadpool(self._file, asked, make)

    def _file(self, asked: _Key, make: Callable[[], bytes]) -> bytes:
        # A reorg may put the same transaction into another block: the epoch is part of the key.
        key = (*asked, self._mirror.status().reorg_epoch)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        content = make()
        with self._lock:
            self._files[key] = content
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
        return content

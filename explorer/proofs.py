"""The downloadable proof of one event, built from what the mirror stores and checked like a reader would check it.

Building a block's receipts trie is work for the CPU, so it takes a thread; the bytes are kept per (transaction, log,
reorg epoch), because an open lease page asks for them again with every block.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from starlette.concurrency import run_in_threadpool

from indexer.queries import Mirror
from protocol.bundle import verify_event
from protocol.errors import BadProof, MirrorError

_KEPT: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Whether a proof verified just now."""

    #: None: it could not be built
    holds: bool | None
    says: str


class Proofs:
    """Proof files of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._lock = Lock()
        self._files: OrderedDict[tuple[bytes, int, int], bytes] = OrderedDict()

    async def fetch(self, tx_hash: bytes, log_index: int) -> bytes:
        """The canonical proof.json of a log; raises `MirrorError` where the mirror holds no such log."""
        return await run_in_threadpool(self._file, tx_hash, log_index)

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

    def _file(self, tx_hash: bytes, log_index: int) -> bytes:
        # A reorg may put the same transaction into another block: the epoch is part of the key.
        key = (tx_hash, log_index, self._mirror.status().reorg_epoch)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        content = self._mirror.proof(tx_hash, log_index)
        with self._lock:
            self._files[key] = content
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
        return content

"""The leases on chain that each step asks about, kept between steps: only what events touched is read again."""

from collections.abc import Collection, Iterable
from typing import Final

from indexer.queries import LeaseRow, Mirror, MirrorStatus, Reads
from protocol.events import LeaseState
from protocol.hashing import to_hex

_BATCH: Final = 500
_MOST_EVENTS: Final = 10_000
"""Behind more than so many, reading all again is less work."""
_TOPIC_BYTES: Final = 32


class LeasesOnChain:
    """Of one process, for one thread. `LeaseRow.finality` is as old as the row: compare blocks with `status`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: dict[bytes, LeaseRow | None] = {}
        #: by lease, 0x hex: the block that closed it. Nothing more happens to those, unless a reorg takes it back
        self.closed: dict[str, int] = {}
        self._seq = 0
        #: hash of the block at which the mirror was when all that is known was so
        self._at: bytes | None = None

    def look(self, leases: Iterable[bytes]) -> tuple[MirrorStatus, dict[bytes, LeaseRow]]:
        """The mirror's progress and those of the leases that it has; one state of the mirror. Raises `MirrorError`."""
        wanted = list(leases)
        with self._mirror.snapshot() as now:
            status = now.status()
            self._forget_touched(now, status)
            missing = [lease for lease in wanted if lease not in self._known]
            for start in range(0, len(missing), _BATCH):
                some = missing[start : start + _BATCH]
                read = now.leases_by_id(some)
                self._known |= {lease: read.get(lease) for lease in some}
        found = {lease: row for lease in wanted if (row := self._known[lease]) is not None}
        for lease, row in found.items():
            if row.state is LeaseState.CLOSED and row.closed_block is not None:
                self.closed[to_hex(lease)] = row.closed_block
        return status, found

    def keep(self, leases: Iterable[bytes], unsettled: Collection[str]) -> None:
        """Forgets all other leases, and of those that are closed all that are settled."""
        wanted = set(leases)
        self._known = {lease: row for lease, row in self._known.items() if lease in wanted}
        self.closed = {lease: block for lease, block in self.closed.items() if lease in unsettled}

    def _forget_touched(self, now: Reads, status: MirrorStatus) -> None:
        # Above a block that still stands nothing was taken back: what is known is as old as that block, not wrong.
        stands = self._at is not None and now.is_canonical(self._at)
        if not stands or status.event_count - self._seq > _MOST_EVENTS:
            self._known.clear()
            self.closed.clear()
        else:
            while len(rows := now.events_since(self._seq, limit=_BATCH)) > 0:
                for row in rows:
                    # The first indexed word of every event about a lease is the lease.
                    lease = row.topics[_TOPIC_BYTES : 2 * _TOPIC_BYTES]
                    self._known.pop(lease, None)
                    self.closed.pop(to_hex(lease), None)
                self._seq = rows[-1].seq
        self._seq, self._at = status.event_count, status.block_hash

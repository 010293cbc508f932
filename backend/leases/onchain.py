"""The leases on chain that each step asks about, kept between steps: only what events touched is read again."""

from collections.abc import Collection, Iterable
from typing import Final

from indexer.queries import LeaseRow, Mirror, MirrorStatus, Reads
from protocol.events import LeaseState
from protocol.hashing import from_hex, to_hex

_BATCH: Final = 500
_MOST_EVENTS: Final = 10_000
"""Behind more than so many, reading all again is less work."""
_ID_BYTES: Final = 32
"""Of a lease, and of each topic."""


class LeasesOnChain:
    """Of one process, for one thread. `LeaseRow.finality` is as old as the row: compare blocks with `status`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        #: by lease, 0x hex, as the market's rows name it
        self._known: dict[str, LeaseRow | None] = {}
        #: the block that closed it. Nothing more happens to those, unless a reorg takes it back
        self.closed: dict[str, int] = {}
        self._seq = 0
        #: hash of the block at which the mirror was when all that is known was so
        self._at: bytes | None = None

    def look(self, leases: Iterable[str]) -> tuple[MirrorStatus, dict[str, LeaseRow]]:
        """The mirror's progress and those of the leases (0x hex) that it has; one state of the mirror.

        Raises `MirrorError`.
        """
        wanted = list(leases)
        with self._mirror.snapshot() as now:
            status = now.status()
            self._forget_touched(now, status)
            missing = [lease for lease in wanted if lease not in self._known]
            for start in range(0, len(missing), _BATCH):
                some = missing[start : start + _BATCH]
                ids = [from_hex(lease, _ID_BYTES) for lease in some]
                read = now.leases_by_id(ids)
                self._known |= {lease: read.get(lease_id) for lease, lease_id in zip(some, ids, strict=True)}
        found = {lease: row for lease in wanted if (row := self._known[lease]) is not None}
        for lease, row in found.items():
            if row.state is LeaseState.CLOSED and row.closed_block is not None:
                self.closed[lease] = row.closed_block
        return status, found

    def keep(self, leases: Iterable[str], unsettled: Collection[str]) -> None:
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
                    lease = to_hex(row.topics[_ID_BYTES : 2 * _ID_BYTES])
                    self._known.pop(lease, None)
                    self.closed.pop(lease, None)
                self._seq = rows[-1].seq
        self._seq, self._at = status.event_count, status.block_hash

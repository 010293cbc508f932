"""The leases on chain that each step asks about, kept between steps: only what events touched is read again."""

from collections.abc import Iterable
from typing import Final

from indexer.queries import LeaseRow, Mirror, MirrorStatus, Reads

_BATCH: Final = 500
_MOST_EVENTS: Final = 10_000
"""Behind more than so many, reading all again is less work."""
_TOPIC_BYTES: Final = 32


class LeasesOnChain:
    """Of one process, for one thread. `LeaseRow.finality` is as old as the row: compare blocks with `status`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: dict[bytes, LeaseRow | None] = {}
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
                found = now.leases_by_id(some)
                self._known |= {lease: found.get(lease) for lease in some}
        return status, {lease: row for lease in wanted if (row := self._known[lease]) is not None}

    def keep(self, leases: Iterable[bytes]) -> None:
        """Forgets all others."""
        wanted = set(leases)
        self._known = {lease: row for lease, row in self._known.items() if lease in wanted}

    def _forget_touched(self, now: Reads, status: MirrorStatus) -> None:
        # Above a block that still stands nothing was taken back: what is known is as old as that block, not wrong.
        stands = self._at is not None and now.is_canonical(self._at)
        if not stands or status.event_count - self._seq > _MOST_EVENTS:
            self._known.clear()
        else:
            while len(rows := now.events_since(self._seq, limit=_BATCH)) > 0:
                for row in rows:
                    # The first indexed word of every event about a lease is the lease.
                    self._known.pop(row.topics[_TOPIC_BYTES : 2 * _TOPIC_BYTES], None)
                self._seq = rows[-1].seq
        self._seq, self._at = status.event_count, status.block_hash

"""How far the mirror is, how it was checked, and what it undid."""

from itertools import groupby
from typing import Any, Final

from sqlalchemy import and_, distinct, func, select

from indexer.errors import MirrorMissing
from indexer.levels import level_of
from indexer.read.connected import Connected
from indexer.reading import audit_row, holds_at
from indexer.rows import AuditRow, Interval, MirrorStatus, ReorgRow, Stats
from indexer.tables import TABLES
from protocol.events import LeaseState, LedgerHead
from protocol.hashing import checksum_address

_AUDITS: Final = TABLES["audits"]
_BLOCKS: Final = TABLES["blocks"]
_CURSOR: Final = TABLES["cursor"]
_LEASES: Final = TABLES["leases"]
_REORGS: Final = TABLES["reorg_journal"]
_STATES: Final = TABLES["lease_versions"]

#: blocks that one look at the coverage reads at most: where methods rarely change, an interval is cut there
_SCANNED: Final = 20_000


class ProgressReads(Connected):
    """Status, figures, reorgs, audits, coverage."""

    #: blocks, its own included, that make a lease `confirmed`
    _confirmations: int = 1

    def status(self) -> MirrorStatus:
        """Raises `MirrorMissing` while not even the deployment's block is stored."""
        row = self._progress()
        if row["number"] is None or row["time"] is None:
            raise MirrorMissing("its first block is not stored yet")
        return MirrorStatus(
            chain_id=row["chain_id"],
            ledger=checksum_address(row["ledger"]),
            token=checksum_address(row["token"]),
            deploy_block=row["deploy_block"],
            block_number=row["number"],
            block_hash=row["hash"],
            block_time=row["time"],
            head=LedgerHead.from_slot(int.from_bytes(row["head_slot"], "big")),
            proved_number=row["proved_number"],
            finalized_number=row["finalized_number"],
            reorg_epoch=row["reorg_epoch"],
            halted=row["halted"],
            confirmed_number=row["number"] - self._confirmations + 1,
            event_count=row["event_count"],
        )

    def light_blocks(self) -> int:
        """Canonical blocks whose transactions are not fetched yet."""
        query = select(func.count()).where(~_BLOCKS.c.whole, _BLOCKS.c.canonical)
        with self._read() as connection:
            return connection.execute(query).scalar_one()

    def stats(self, *, at_block: int | None = None) -> Stats:
        """Over all canonical events up to a block, or up to now."""
        version = and_(_STATES.c.lease == _LEASES.c.lease, holds_at(_STATES, at_block))
        with self._read() as connection:
            row = (
                connection.execute(
                    select(
                        func.count().label("leases"),
                        func.count().filter(_STATES.c.state != LeaseState.CLOSED).label("open_leases"),
                        func.coalesce(func.sum(_STATES.c.paid_base), 0).label("paid_base"),
                        func.coalesce(func.sum(_LEASES.c.fee_base), 0).label("fees_base"),
                        func.count(distinct(_LEASES.c.provider)).label("providers"),
                        func.count(distinct(_LEASES.c.buyer)).label("buyers"),
                    ).join_from(_LEASES, _STATES, version)
                )
                .mappings()
                .one()
            )
            here = _BLOCKS.c.canonical if at_block is None else and_(_BLOCKS.c.number <= at_block, _BLOCKS.c.canonical)
            # Canonical blocks have no gap, so the first and the last number say how many there are.
            first, last = connection.execute(
                select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(here)
            ).one()
            events = self.event_count_at(last) if last is not None else 0
        figures = {name: int(value) for name, value in row.items()}
        return Stats(**figures, events=events, blocks=0 if last is None else last - first + 1)

    def event_count_at(self, number: int) -> int:
        """Canonical events up to and with a block, Skipped ones included: the seq of the newest."""
        query = select(_BLOCKS.c.event_count).where(_BLOCKS.c.number == number, _BLOCKS.c.canonical)
        with self._read() as connection:
            return connection.execute(query).scalar() or 0

    def reorgs(self, limit: int = 50, before: int | None = None, after: int | None = None) -> list[ReorgRow]:
        """Newest first; `before` and `after` are epochs."""
        return [
            ReorgRow(
                epoch=row["reorg_epoch"],
                fork_number=row["ancestor_number"] + 1,
                old_head=row["old_hash"],
                new_head=row["new_hash"],
                depth=row["depth"],
                last_kept_seq=row["ancestor_seq"],
                events_undone=row["events_undone"],
                at=row["seen_time"],
            )
            for row in self._page(select(_REORGS), (_REORGS.c.reorg_epoch,), limit, before, after)
        ]

    def ancestor_since(self, reorg_epoch: int) -> int | None:
        """The last block that every rollback since an epoch left as it was; None if there was none since.

        It is canonical now: whatever undid it would be a rollback with a lower ancestor.
        """
        query = select(func.min(_REORGS.c.ancestor_number)).where(_REORGS.c.reorg_epoch > reorg_epoch)
        with self._read() as connection:
            ancestor: int | None = connection.execute(query).scalar()
        return ancestor

    def audits(self, limit: int = 50, before: int | None = None, after: int | None = None) -> list[AuditRow]:
        """Proofs of canonical blocks, newest first; `before` and `after` are block numbers."""
        query = select(_AUDITS).join(_BLOCKS, and_(_BLOCKS.c.hash == _AUDITS.c.block_hash, _BLOCKS.c.canonical))
        return [audit_row(row) for row in self._page(query, (_AUDITS.c.block_number,), limit, before, after)]

    def coverage(self, limit: int = 50, before: int | None = None, after: int | None = None) -> list[Interval]:
        """Intervals of canonical blocks, newest first and without a gap; `before` and `after` are block numbers."""
        query = select(_BLOCKS.c.number, _BLOCKS.c.method).where(_BLOCKS.c.canonical)
        with self._read() as connection:
            rows: Any = self._page(query, (_BLOCKS.c.number,), _SCANNED, before, after)
            proved, halted = connection.execute(select(_CURSOR.c.proved_number, _CURSOR.c.halted)).one()
        intervals = []
        walked = groupby(rows, lambda row: (row["method"], level_of(row["number"], proved, halted=halted is not None)))
        for (method, level), blocks in walked:
            numbers = [row["number"] for row in blocks]
            intervals.append(Interval(first_number=numbers[-1], last_number=numbers[0], method=method, level=level))
        return intervals[:limit] if after is None else intervals[-limit:]

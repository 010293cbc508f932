"""Undoing blocks that the chain replaced: one transaction, orphaned facts kept and flagged, and a journal entry."""

from collections.abc import Callable

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from indexer.commit import TABLES, VERSIONS, CursorRow, move_cursor, read_cursor
from indexer.errors import CursorMoved, ReorgTooDeep
from indexer.source import NodeHead

_PROJECTED = (
    ("leases", "opened_block"),
    ("payments", "block_number"),
    ("cancelled", "block_number"),
    ("disputes", "block_number"),
)


def stored_hash(connection: Connection, number: int) -> bytes | None:
    """The canonical block at a height, as we know it."""
    blocks = TABLES["blocks"]
    found: bytes | None = connection.execute(
        select(blocks.c.hash).where(blocks.c.number == number, blocks.c.canonical)
    ).scalar_one_or_none()
    return found


def common_ancestor(lowest: int, highest: int, shared: Callable[[int], bool]) -> int:
    """The last block of lowest..highest that node and mirror share; lowest − 1 if there is none.

    Doubles its way down, then halves: reorgs are shallow, and a deep one costs a logarithm.
    """
    depth = 1
    known_different = highest + 1
    while True:
        number = max(lowest, highest + 1 - depth)
        if shared(number):
            break
        known_different = number
        if number == lowest:
            return lowest - 1
        depth *= 2
    while known_different - number > 1:
        middle = (number + known_different) // 2
        if shared(middle):
            number = middle
        else:
            known_different = middle
    return number


def roll_back(connection: Connection, cursor: CursorRow, ancestor: int, node: NodeHead, seen_time: int) -> CursorRow:
    """Undoes all blocks above `ancestor`; raises `ReorgTooDeep` if any of them was final or the deployment's own."""
    if cursor.number is None:
        raise CursorMoved(None, cursor.hash)
    ancestor_hash = stored_hash(connection, ancestor)
    if ancestor < cursor.finalized_number or ancestor_hash is None:
        raise ReorgTooDeep(ancestor, cursor.finalized_number)
    proved = cursor.proved_number
    move_cursor(
        connection,
        cursor.hash,
        number=ancestor,
        hash=ancestor_hash,
        reorg_epoch=cursor.reorg_epoch + 1,
        proved_number=proved if proved is not None and proved <= ancestor else None,
    )
    undone = _orphan(connection, ancestor)
    _reopen(connection, ancestor)
    connection.execute(
        insert(TABLES["reorg_journal"]).values(
            reorg_epoch=cursor.reorg_epoch + 1,
            ancestor_number=ancestor,
            old_number=cursor.number,
            old_hash=cursor.hash,
            new_number=node.number,
            new_hash=node.hash,
            depth=cursor.number - ancestor,
            events_undone=undone,
            seen_time=seen_time,
        )
    )
    return read_cursor(connection)


def _orphan(connection: Connection, ancestor: int) -> int:
    """Flags the facts above; returns how many events that were."""
    blocks, events = TABLES["blocks"], TABLES["events"]
    above = (events.c.block_number > ancestor, events.c.canonical)
    count: int = connection.execute(select(func.count()).select_from(events).where(*above)).scalar_one()
    connection.execute(update(events).where(*above).values(canonical=False))
    connection.execute(update(blocks).where(blocks.c.number > ancestor, blocks.c.canonical).values(canonical=False))
    return count


def _reopen(connection: Connection, ancestor: int) -> None:
    """Projections go back to what they were at `ancestor`."""
    for name in VERSIONS:
        table = TABLES[name]
        connection.execute(delete(table).where(table.c.valid_from > ancestor))
        connection.execute(update(table).where(table.c.valid_to > ancestor).values(valid_to=None))
    for name, column in _PROJECTED:
        table = TABLES[name]
        connection.execute(delete(table).where(table.c[column] > ancestor))

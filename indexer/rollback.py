"""Undoing blocks that the chain replaced: one transaction, orphaned facts kept and flagged, and a journal entry."""

from collections.abc import Callable

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from indexer.commit import CursorRow, move_cursor, read_cursor
from indexer.errors import CursorMoved, ReorgTooDeep
from indexer.source import NodeHead
from indexer.tables import TABLES

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
    rolled = read_cursor(connection)
    _reopen(connection, ancestor, rolled.event_count)
    _orphan(connection, ancestor)
    connection.execute(
        insert(TABLES["reorg_journal"]).values(
            reorg_epoch=rolled.reorg_epoch,
            ancestor_number=ancestor,
            old_number=cursor.number,
            old_hash=cursor.hash,
            new_number=node.number,
            new_hash=node.hash,
            depth=cursor.number - ancestor,
            ancestor_seq=rolled.event_count,
            events_undone=cursor.event_count - rolled.event_count,
            seen_time=seen_time,
        )
    )
    return rolled


def _orphan(connection: Connection, ancestor: int) -> None:
    """Flags the facts above."""
    blocks, events = TABLES["blocks"], TABLES["events"]
    for table, number in ((blocks, blocks.c.number), (events, events.c.block_number)):
        connection.execute(update(table).where(number > ancestor, table.c.canonical).values(canonical=False))


def _reopen(connection: Connection, ancestor: int, ancestor_seq: int) -> None:
    """Projections go back to what they were at `ancestor`.

    Only what the undone events are about is looked at, so a rollback costs what it undoes, not what there is.
    """
    parties, events = TABLES["parties"], TABLES["events"]
    accounts = select(parties.c.account).where(parties.c.seq > ancestor_seq)
    leases = select(events.c.lease).where(events.c.seq > ancestor_seq, events.c.canonical, events.c.lease.is_not(None))
    for name, column, changed in (
        ("account_versions", "account", accounts),
        ("delegate_versions", "buyer", accounts),
        ("claim_versions", "lease", leases),
        ("lease_versions", "lease", leases),
    ):
        table = TABLES[name]
        touched = table.c[column].in_(changed)
        connection.execute(delete(table).where(touched, table.c.valid_from > ancestor))
        connection.execute(update(table).where(touched, table.c.valid_to > ancestor).values(valid_to=None))
    for name, column in _PROJECTED:
        table = TABLES[name]
        connection.execute(delete(table).where(table.c[column] > ancestor))
    connection.execute(delete(parties).where(parties.c.seq > ancestor_seq))

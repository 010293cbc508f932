"""Undoing blocks that the chain replaced: one transaction, orphaned facts kept and flagged, and a journal entry."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from indexer.bulk import key_columns
from indexer.commit import CursorRow, move_cursor, read_cursor
from indexer.decoded import OF_LEASE, OPENED
from indexer.errors import CursorMoved, ReorgTooDeep
from indexer.named import ACCOUNTS, OF_CLAIM, OF_DELEGATE
from indexer.source import NodeHead
from indexer.tables import TABLES
from protocol.events import EVENTS, read_cells

#: the cells of a key, without the block that a version begins in
_Key: TypeAlias = tuple[bytes, ...]

#: parts that a search for the common ancestor is cut into
_AT_ONCE: Final = 16
_PROJECTED = (
    ("leases", "opened_block"),
    ("payments", "block_number"),
    ("cancelled", "block_number"),
    ("disputes", "block_number"),
)


def stored_hashes(connection: Connection, numbers: Collection[int]) -> list[bytes | None]:
    """The canonical blocks at these heights, as we know them."""
    blocks = TABLES["blocks"]
    query = select(blocks.c.number, blocks.c.hash).where(blocks.c.number.in_(numbers), blocks.c.canonical)
    found: dict[int, bytes] = dict(connection.execute(query).tuples().all())
    return [found.get(number) for number in numbers]


def common_ancestor(lowest: int, highest: int, shared: Callable[[Sequence[int]], list[bool]]) -> int:
    """The last block of lowest..highest that node and mirror share; lowest − 1 if there is none.

    Doubles its way down, then narrows: a few questions, each of several heights, because each is a way to the node.
    """
    looked = _doubling(lowest, highest)
    different = highest + 1
    for number, same in zip(looked, shared(looked), strict=True):
        if same:
            break
        different = number
    else:
        return lowest - 1
    while different - number > 1:
        between = range(number, different, -(-(different - number) // _AT_ONCE))[1:]
        for middle, same in zip(between, shared(between), strict=True):
            if not same:
                different = middle
                break
            number = middle
    return number


def _doubling(lowest: int, highest: int) -> list[int]:
    """Heights from the highest down to the lowest, each step twice as far as the one before."""
    numbers, depth = [highest], 2
    while numbers[-1] > lowest:
        numbers.append(max(lowest, highest + 1 - depth))
        depth *= 2
    return numbers


def roll_back(connection: Connection, cursor: CursorRow, ancestor: int, node: NodeHead, seen_time: int) -> CursorRow:
    """Undoes all blocks above `ancestor`; raises `ReorgTooDeep` if any of them was final or the deployment's own."""
    if cursor.number is None:
        raise CursorMoved(None, cursor.hash)
    (ancestor_hash,) = stored_hashes(connection, [ancestor])
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


class _Undone(NamedTuple):
    """What the undone events were about: keys, for `executemany`."""

    accounts: list[_Key]
    delegates: list[_Key]
    opened: list[_Key]
    #: leases that had been opened before
    leases: list[_Key]
    claims: list[_Key]


def _reopen(connection: Connection, ancestor: int, ancestor_seq: int) -> None:
    """Projections go back to what they were at `ancestor`.

    Only what the undone events are about is looked at, and by its key, so a rollback costs what it undoes, not what
    there is.
    """
    undone = _undone(connection, ancestor_seq)
    _end_at(connection, "account_versions", undone.accounts, ancestor)
    _end_at(connection, "delegate_versions", undone.delegates, ancestor)
    _end_at(connection, "lease_versions", undone.leases, ancestor)
    _end_at(connection, "claim_versions", undone.claims, ancestor)
    _by_key(connection, "DELETE FROM lease_versions WHERE {here}", "lease_versions", undone.opened)
    newer_ones = f"DELETE FROM parties WHERE {{here}} AND seq > {ancestor_seq:d}"  # noqa: S608 (a number)
    _by_key(connection, newer_ones, "parties", undone.accounts)
    for name, column in _PROJECTED:
        table = TABLES[name]
        connection.execute(delete(table).where(table.c[column] > ancestor))


def _undone(connection: Connection, ancestor_seq: int) -> _Undone:
    """Read from the events themselves: no index leads from a sequence number to whom its event concerns."""
    events, leases = TABLES["events"], TABLES["leases"]
    newer = (events.c.seq > ancestor_seq, events.c.canonical)
    accounts, delegates, claims = set[_Key](), set[_Key](), set[_Key]()
    opened, others = set[_Key](), set[_Key]()
    for topics, data in connection.execute(select(events.c.topics, events.c.data).where(*newer)):
        kind, cells = read_cells(topics, data)
        accounts.update((account,) for account in ACCOUNTS[kind](cells))
        if kind in OF_DELEGATE:
            delegates.add((cells[0], cells[1]))
        if kind in OF_CLAIM:
            claims.add((cells[0],))
        if kind == OPENED:
            opened.add((cells[0],))
        elif OF_LEASE[kind]:
            others.add((cells[0],))
    if others:
        keys = select(events.c.lease).where(*newer, events.c.kind != EVENTS[OPENED].__name__)
        for sides in connection.execute(select(leases.c.buyer, leases.c.provider).where(leases.c.lease.in_(keys))):
            accounts.update((account,) for account in sides)
    return _Undone(list(accounts), list(delegates), list(opened), list(others - opened), list(claims))


def _end_at(connection: Connection, name: str, keys: list[_Key], ancestor: int) -> None:
    """Takes the versions away that began later, and lets the newest before them hold again."""
    later = f"DELETE FROM {name} WHERE {{here}} AND valid_from > {ancestor:d}"  # noqa: S608 (our names)
    _by_key(connection, later, name, keys)
    newest = f"(SELECT max(valid_from) FROM {name} WHERE {{here}})"  # noqa: S608 (our names)
    reopen = f"UPDATE {name} SET valid_to = NULL WHERE {{here}} AND valid_from = {newest} AND valid_to IS NOT NULL"  # noqa: S608
    _by_key(connection, reopen, name, [(*key, *key) for key in keys])


def _by_key(connection: Connection, statement: str, name: str, keys: list[_Key]) -> None:
    """Runs it once a key of the table; past SQLAlchemy, which would take longer than the database."""
    if not keys:
        return
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    here = " AND ".join(f"{column} = {mark}" for column in key_columns(TABLES[name]))
    connection.connection.cursor().executemany(statement.format(here=here), keys)

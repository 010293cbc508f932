"""One step of the mirror: blocks, rows, projections and cursor in one database transaction.

The transaction begins by asserting that the cursor still is where the step starts. So data and cursor cannot differ, a
second writer loses, and kill -9 leaves the step before.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from indexer.book import Book
from indexer.bulk import end_versions, insert_facts, insert_packed
from indexer.decoded import DecodedBlock, Facts, decode
from indexer.decoder import derive
from indexer.errors import CursorMoved, ForeignMirror, MirrorMissing
from indexer.facts import FACTS, BlockFact
from indexer.layout import Packed
from indexer.partitions import SPAN_BLOCKS, ensure_partitions
from indexer.projections import Changes
from indexer.source import Contracts, VerifiedBlock
from indexer.stored import StoredRows, prefetch
from indexer.tables import TABLES
from indexer.versions import Ended, Versions
from protocol.deployment import Deployment
from protocol.events import LedgerHead
from protocol.hashing import from_hex, to_hex
from protocol.proofs import Header, parse_header


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorRow:
    """Where the mirror is."""

    number: int | None
    hash: bytes | None
    proved_number: int | None
    finalized_number: int
    reorg_epoch: int
    halted: str | None
    #: ledger head at the cursor, and events so far with the Skipped ones
    head: LedgerHead
    event_count: int


def initialise(connection: Connection, deployment: Deployment) -> None:
    """Writes which ledger this mirror is of, or raises `ForeignMirror` if it is another's."""
    expected = {
        "chain_id": deployment.chain_id,
        "genesis_hash": from_hex(deployment.genesis_hash, 32),
        "ledger": from_hex(deployment.ledger, 20),
        "token": from_hex(deployment.token, 20),
        "deploy_block": deployment.deploy_block,
    }
    found = connection.execute(select(TABLES["chains"])).mappings().one_or_none()
    if found is None:
        connection.execute(insert(TABLES["chains"]).values(expected))
        connection.execute(insert(TABLES["cursor"]).values(id=1, finalized_number=0, reorg_epoch=0))
        return
    for name, value in expected.items():
        if found[name] != value:
            raise ForeignMirror(name.replace("_", " "), _shown(value), _shown(found[name]))


def _shown(value: Any) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)


def read_cursor(connection: Connection) -> CursorRow:
    """Raises `MirrorMissing` before the mirror was initialised."""
    cursor, blocks = TABLES["cursor"], TABLES["blocks"]
    query = select(cursor, blocks.c.head_slot, blocks.c.event_count).join(
        blocks, blocks.c.hash == cursor.c.hash, isouter=True
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise MirrorMissing(str(connection.engine.url))
    return CursorRow(
        number=row["number"],
        hash=row["hash"],
        proved_number=row["proved_number"],
        finalized_number=row["finalized_number"],
        reorg_epoch=row["reorg_epoch"],
        halted=row["halted"],
        head=LedgerHead.from_slot(int.from_bytes(row["head_slot"] or b"", "big")),
        event_count=row["event_count"] or 0,
    )


def assert_cursor(connection: Connection, cursor: CursorRow) -> None:
    """Takes the cursor's lock; raises `CursorMoved` unless it is where it is said to be."""
    move_cursor(connection, cursor.hash, hash=cursor.hash)


def move_cursor(connection: Connection, expected_hash: bytes | None, **values: Any) -> None:
    """Raises `CursorMoved` unless the cursor still is at `expected_hash`."""
    cursor = TABLES["cursor"]
    here = cursor.c.hash.is_(None) if expected_hash is None else cursor.c.hash == expected_hash
    if connection.execute(update(cursor).where(here).values(**values)).rowcount != 1:
        found = connection.execute(select(cursor.c.hash)).scalar()
        raise CursorMoved(expected_hash, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Blocks folded and ready to be written: from one cursor to the next."""

    before: CursorRow
    after: CursorRow
    hashes: list[bytes]
    rows: Facts
    #: more rows, as COPY takes them
    packed: dict[str, Packed]
    #: versions that may be stored and end, as `Versions.ended` gives them
    ended: list[tuple[str, list[Ended]]]

    @property
    def blocks_to_partition(self) -> range:
        """Those whose partition may be missing: none where they follow others in theirs."""
        last = self.after.number or 0
        blocks = range(last - len(self.hashes) + 1, last + 1)
        before = self.before.number
        return blocks if before is None or before // SPAN_BLOCKS < last // SPAN_BLOCKS else range(0)


def commit_blocks(
    connection: Connection, cursor: CursorRow, blocks: list[VerifiedBlock], contracts: Contracts, finalized: int
) -> CursorRow:
    """Stores blocks that follow the cursor, and moves it to the last of them."""
    # The lock comes first: what the fold reads must still hold when its rows are written.
    assert_cursor(connection, cursor)
    facts = [derive(block, contracts) for block in blocks]
    decoded, rows, _ = decode(facts, cursor.head, cursor.event_count)
    stored = StoredRows(connection)
    prefetch(stored, decoded)
    step = fold_step(Book(stored, cursor.event_count), cursor, decoded, finalized)
    for name, batch in rows.items():
        step.rows[name] += batch
    write_step(connection, step)
    return step.after


def fold_step(book: Book, cursor: CursorRow, blocks: list[DecodedBlock], finalized: int) -> Step:
    """What blocks that follow the cursor add and end, beside their own rows. Raises `BadEvent`."""
    versions = Versions()
    rows: Facts = {name: [] for name in FACTS}
    headers = []
    for block in blocks:
        header = parse_header(block.header_rlp)
        changes = fold(book, header, block)
        collect(rows, header, block, changes, book.event_count)
        versions.add(header.number, changes)
        headers.append(header)
    rows |= versions.rows()
    last = headers[-1]
    after = replace(
        cursor,
        number=last.number,
        hash=last.hash,
        finalized_number=max(cursor.finalized_number, min(finalized, last.number)),
        head=blocks[-1].head,
        event_count=book.event_count,
    )
    hashes = [header.hash for header in headers]
    return Step(before=cursor, after=after, hashes=hashes, rows=rows, packed={}, ended=list(versions.ended()))


def write_step(connection: Connection, step: Step) -> None:
    """Writes a step. Raises `CursorMoved` unless the cursor is where the step begins."""
    after = step.after
    move_cursor(
        connection,
        step.before.hash,
        number=after.number,
        hash=after.hash,
        finalized_number=after.finalized_number,
        proved_number=after.proved_number,
    )
    if step.before.reorg_epoch:
        forget(connection, step.hashes)
    if blocks := step.blocks_to_partition:
        ensure_partitions(connection, blocks[0], blocks[-1])
    end_versions(connection, step.ended)
    for name, batch in step.rows.items():
        insert_facts(connection, name, batch)
    for name, packed in step.packed.items():
        insert_packed(connection, name, packed)


def fold(book: Book, header: Header, block: DecodedBlock) -> Changes:
    """What a block's events change. Raises `BadEvent`."""
    book.begin(header)
    for event in block.events:
        book.apply(event)
    return book.take()


def collect(rows: Facts, header: Header, block: DecodedBlock, changes: Changes, event_count: int) -> None:
    """Adds a block's rows that need what came before it, except for the versions; `event_count` is that after it."""
    rows["blocks"].append(
        BlockFact(
            hash=header.hash,
            number=header.number,
            parent_hash=header.parent_hash,
            time=header.time,
            header_rlp=block.header_rlp,
            method=block.method,
            whole=block.whole,
            event_count=event_count,
            head_slot=block.head.to_slot().to_bytes(32, "big"),
            canonical=True,
        )
    )
    rows["parties"] += changes.parties
    rows["payments"] += changes.payments
    rows["cancelled"] += changes.cancelled
    rows["disputes"] += changes.disputes


def forget(connection: Connection, hashes: list[bytes]) -> None:
    """A block that was orphaned and is back is stored anew. Before the first rollback there is none."""
    blocks = TABLES["blocks"]
    known = connection.execute(select(blocks.c.hash, blocks.c.number).where(blocks.c.hash.in_(hashes))).all()
    if not known:
        return
    back = [block_hash for block_hash, _ in known]
    for name in ("bodies", "transactions", "events"):
        table = TABLES[name]
        gone = delete(table).where(table.c.block_hash.in_(back))
        if name == "events":
            # Its key begins with the number.
            gone = gone.where(table.c.block_number.in_([number for _, number in known]))
        connection.execute(gone)
    connection.execute(delete(blocks).where(blocks.c.hash.in_(back)))

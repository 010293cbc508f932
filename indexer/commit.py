"""One step of the mirror: blocks, rows, projections and cursor in one database transaction.

The transaction begins by asserting that the cursor still is where the step starts. So data and cursor cannot differ, a
second writer loses, and kill -9 leaves the step before.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from zlib import compress, decompress

from sqlalchemy import Table, and_, delete, insert, select, update
from sqlalchemy.engine import Connection

from indexer.decoder import BlockFacts, Row, derive
from indexer.errors import CursorMoved, ForeignMirror, MirrorMissing
from indexer.projections import Account, Book, Changes, Delegate, Key, Lease
from indexer.source import Contracts, VerifiedBlock
from indexer.tables import mirror_registry
from protocol.deployment import Deployment
from protocol.events import EndReason, LeaseState, LedgerHead, Skipped, to_json
from protocol.hashing import from_hex, to_hex
from protocol.rlp import decode_list, encode, to_bytes

TABLES = mirror_registry.metadata.tables
#: facts of a block, kept when it is orphaned; keyed by its hash
FACTS = ("bodies", "transactions", "logs", "events", "parties")
#: projections whose rows hold in blocks valid_from ≤ b < valid_to
VERSIONS = ("account_versions", "claim_versions", "delegate_versions", "lease_versions")


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


def move_cursor(connection: Connection, expected_hash: bytes | None, **values: Any) -> None:
    """Raises `CursorMoved` unless the cursor still is at `expected_hash`."""
    cursor = TABLES["cursor"]
    here = cursor.c.hash.is_(None) if expected_hash is None else cursor.c.hash == expected_hash
    if connection.execute(update(cursor).where(here).values(**values)).rowcount != 1:
        found = connection.execute(select(cursor.c.hash)).scalar()
        raise CursorMoved(expected_hash, found)


def commit_blocks(
    connection: Connection, cursor: CursorRow, blocks: list[VerifiedBlock], contracts: Contracts, finalized: int
) -> CursorRow:
    """Stores blocks that follow the cursor, and moves it to the last of them."""
    last = blocks[-1].header
    finalized = max(cursor.finalized_number, min(finalized, last.number))
    move_cursor(connection, cursor.hash, number=last.number, hash=last.hash, finalized_number=finalized)
    forget(connection, [block.header.hash for block in blocks])
    book = Book(StoredRows(connection), cursor.event_count)
    head = cursor.head
    rows: dict[str, list[Row]] = {name: [] for name in TABLES}
    for block in blocks:
        facts = derive(block, contracts)
        head, changes = fold(book, head, facts)
        rows["blocks"].append(block_row(block, book.event_count, head))
        collect(rows, block, facts, changes)
        write_versions(connection, block.header.number, changes)
    for name, batch in rows.items():
        if batch:
            connection.execute(insert(TABLES[name]), batch)
    return read_cursor(connection)


def fold(book: Book, head: LedgerHead, facts: BlockFacts) -> tuple[LedgerHead, Changes]:
    """The ledger head after a block, and what its events changed."""
    for log in facts.logs:
        event = log.decode()
        book.apply(event, log, to_json(event))
        if not isinstance(event, Skipped):
            head = head.advance(log.block_number, log.block_time, log.hash())
    return head, book.take()


def block_row(block: VerifiedBlock, event_count: int, head: LedgerHead) -> Row:
    header = block.header
    return {
        "hash": header.hash,
        "number": header.number,
        "parent_hash": header.parent_hash,
        "time": header.time,
        "header_rlp": block.header_rlp,
        "method": "receipts" if block.touches else "bloom",
        "event_count": event_count,
        "head_slot": head.to_slot().to_bytes(32, "big"),
        "canonical": True,
    }


def collect(rows: dict[str, list[Row]], block: VerifiedBlock, facts: BlockFacts, changes: Changes) -> None:
    """Adds a block's rows, except for the versions."""
    if block.touches:
        rows["bodies"].append(
            {
                "block_hash": block.header.hash,
                "transactions": pack(block.transactions),
                "receipts": pack(block.receipts),
            }
        )
    rows["transactions"] += facts.transactions
    rows["logs"] += [log.row() for log in facts.logs]
    rows["events"] += changes.events
    rows["parties"] += changes.parties
    rows["leases"] += changes.opened
    rows["payments"] += changes.payments
    rows["cancelled"] += changes.cancelled
    rows["disputes"] += changes.disputes


def pack(items: Iterable[bytes]) -> bytes:
    """Raw items as one compressed RLP list."""
    return compress(encode(list(items)))


def unpack(packed: bytes) -> tuple[bytes, ...]:
    return tuple([to_bytes(item) for item in decode_list(decompress(packed))])


def version_rows(number: int, changes: Changes) -> dict[str, list[Row]]:
    """The versions that begin with block `number`."""
    stamp = {"valid_from": number, "valid_to": None}
    lease_columns = TABLES["lease_versions"].c
    return {
        "account_versions": [{**asdict(row), **stamp, "seq": seq} for row, seq in changes.accounts.values()],
        "claim_versions": [{**asdict(row), **stamp, "seq": seq} for row, seq in changes.claims.values()],
        "delegate_versions": [{**asdict(row), **stamp, "seq": seq} for row, seq in changes.delegates.values()],
        "lease_versions": [
            {**{name: value for name, value in asdict(row).items() if name in lease_columns}, **stamp, "seq": seq}
            for row, seq in changes.leases.values()
        ],
    }


def write_versions(connection: Connection, number: int, changes: Changes) -> None:
    """Ends the versions that held until block `number` and begins the new ones."""
    keys: dict[str, Iterable[Key]] = {
        "account_versions": changes.accounts,
        "claim_versions": changes.claims,
        "delegate_versions": changes.delegates,
        "lease_versions": changes.leases,
    }
    for name, rows in version_rows(number, changes).items():
        table = TABLES[name]
        for key in keys[name]:
            connection.execute(update(table).where(current(table, key)).values(valid_to=number))
        if rows:
            connection.execute(insert(table), rows)


def current(table: Table, key: Key) -> Any:
    """The version that holds now, by the key columns that come before `valid_from`."""
    columns = list(table.primary_key.columns)[:-1]
    return and_(table.c.valid_to.is_(None), *[column == value for column, value in zip(columns, key, strict=True)])


def forget(connection: Connection, hashes: list[bytes]) -> None:
    """A block that was orphaned and is back is stored anew."""
    blocks = TABLES["blocks"]
    known = connection.execute(select(blocks.c.hash).where(blocks.c.hash.in_(hashes))).scalars().all()
    for name in FACTS if known else ():
        connection.execute(delete(TABLES[name]).where(TABLES[name].c.block_hash.in_(known)))
    if known:
        connection.execute(delete(blocks).where(blocks.c.hash.in_(known)))


class StoredRows:
    """Current rows of the mirror, for the fold."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _one(self, name: str, key: Key) -> Any:
        table = TABLES[name]
        return self._connection.execute(select(table).where(current(table, key))).mappings().one_or_none()

    def account(self, account: bytes) -> Account | None:
        row = self._one("account_versions", (account,))
        if row is None:
            return None
        return Account(
            account=account,
            free_base=row["free_base"],
            locked_base=row["locked_base"],
            bonded_base=row["bonded_base"],
            open_leases=row["open_leases"],
            epoch=row["epoch"],
            guarded=row["guarded"],
            beneficiary=row["beneficiary"],
        )

    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        row = self._one("delegate_versions", (buyer, key))
        if row is None:
            return None
        return Delegate(buyer=buyer, key=key, remaining_base=row["remaining_base"], until_time=row["until_time"])

    def lease(self, lease: bytes) -> Lease | None:
        row = self._one("lease_versions", (lease,))
        if row is None:
            return None
        leases = TABLES["leases"]
        terms = self._connection.execute(select(leases).where(leases.c.lease == lease)).mappings().one()
        return Lease(
            lease=lease,
            buyer=terms["buyer"],
            provider=terms["provider"],
            locked_base=terms["locked_base"],
            bond_base=terms["bond_base"],
            paid_base=row["paid_base"],
            refunded_base=row["refunded_base"],
            deadline_time=row["deadline_time"],
            state=LeaseState(row["state"]),
            reason=EndReason(row["reason"]),
            done=row["done"],
            early=row["early"],
            responded=row["responded"],
            penalty_base=row["penalty_base"],
            closed_block=row["closed_block"],
            closed_tx=row["closed_tx"],
        )

"""The rows that the mirror must have: derived from its own block bodies, or from the node where those are damaged."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection

from indexer.backfill.derive import derive_light
from indexer.backfill.fetch import fetch_light
from indexer.bodies import unpack
from indexer.book import Book
from indexer.commit import collect, fold
from indexer.decoded import Facts, decode
from indexer.decoder import BlockFacts, derive
from indexer.facts import FACTS
from indexer.findings import COMPARED, Finding, spell, spell_both
from indexer.projections import NoRows
from indexer.source import Contracts, Source, VerifiedBlock
from indexer.tables import TABLES
from indexer.versions import VERSIONS, Versions
from protocol.errors import BadProof
from protocol.events import EVENTS, LedgerHead
from protocol.proofs import Header, parse_header
from protocol.tries import ordered_root

#: tables that also hold orphaned rows, with the column that names the block
_BLOCK_OF = {"events": "block_hash", "transactions": "block_hash", "blocks": "hash"}

Cells = tuple[Any, ...]
#: column → value
Row: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Expected:
    """The derived rows by table and key, and what was wrong with the blocks that they come from."""

    tables: dict[str, dict[Cells, Row]]
    findings: list[Finding] = field(default_factory=list)
    headers: dict[int, bytes] = field(default_factory=dict)
    hashes: set[bytes] = field(default_factory=set)
    #: seq → (kind, block, log index)
    places: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    event_count: int = 0

    @property
    def blocks(self) -> int:
        return len(self.headers)

    @property
    def rows(self) -> int:
        return sum(len(rows) for rows in self.tables.values())

    @property
    def current(self) -> int:
        """Versions that hold now."""
        return sum(row["valid_to"] is None for name in VERSIONS for row in self.tables[name].values())

    def header_rlp(self, number: int) -> bytes:
        return self.headers[number]

    def compare(self, connection: Connection) -> list[Finding]:
        """Every cell of the stored rows against the derived one."""
        return [finding for name in COMPARED for finding in self._compare(connection, TABLES[name])]

    def _compare(self, connection: Connection, table: Table) -> Iterator[Finding]:
        keys = [column.name for column in table.primary_key.columns]
        to_raw = _raw_form(connection, table)
        wanted = {key: to_raw(row) for key, row in self.tables[table.name].items()}
        stored = {}
        for row in raw_rows(connection, table.name):
            # Orphaned rows are kept, and are not of the chain.
            if table.name not in _BLOCK_OF or row[_BLOCK_OF[table.name]] in self.hashes:
                stored[tuple(row[name] for name in keys)] = row
        for key, row in wanted.items():
            found = stored.pop(key, None)
            if found is None:
                yield self.about(table.name, "(row)", "present", "missing", row)
                continue
            for name, value in row.items():
                if found[name] != value:
                    yield self.about(table.name, name, *spell_both(value, found[name]), row)
        for row in stored.values():
            yield self.about(table.name, "(row)", "absent", "present", row)

    def about(self, table: str, column: str, expected: str, found: str, row: Row) -> Finding:
        """A finding at the event that a row belongs to."""
        number = row.get("block_number", row.get("opened_block", row.get("number")))
        return self.finding(table, column, expected, found, self._seq_of(row, number), number)

    def finding(
        self, table: str, column: str, expected: str, found: str, seq: int | None, number: int | None
    ) -> Finding:
        """A finding that names its event; without one, its block."""
        kind, block, log_index = self.places.get(seq or 0, (None, number, None))
        return Finding(
            table=table,
            column=column,
            expected=expected,
            found=found,
            seq=seq,
            kind=kind,
            block_number=block,
            log_index=log_index,
        )

    def _seq_of(self, row: Row, number: Any) -> int | None:
        """The event that a row belongs to; the first of its block where it names none."""
        if isinstance(row.get("seq"), int):
            return int(row["seq"])
        log_index = row.get("log_index", row.get("opened_log_index"))
        in_block = [(place[2], seq) for seq, place in self.places.items() if place[1] == number]
        exact = [seq for index, seq in in_block if index == log_index]
        if "tx_index" in row and log_index is None:
            of_tx = {
                event["log_index"]
                for event in self.tables["events"].values()
                if (event["block_hash"], event["tx_index"]) == (row["block_hash"], row["tx_index"])
            }
            exact = [seq for index, seq in in_block if index in of_tx]
        return min(exact or [seq for _, seq in in_block], default=None)


def raw_rows(connection: Connection, table: str) -> list[Row]:
    """Rows as the database holds them: an altered cell must be shown, not fail to be read.

    SQLite holds anything in any column, so there the columns' types are passed by; PostgreSQL keeps to them itself.
    """
    if connection.dialect.name == "sqlite":
        result = connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 (our own table names)
    else:
        result = connection.execute(select(TABLES[table]))
    return [dict(row) for row in result.mappings()]


def _raw_form(connection: Connection, table: Table) -> Callable[[Row], Row]:
    """Turns a row of values into cells as `raw_rows` gives them."""
    dialect = connection.dialect
    if dialect.name != "sqlite":
        return lambda row: row
    bind = {column.name: column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.c}

    def to_raw(row: Row) -> Row:
        cells = {}
        for name, value in row.items():
            process = bind[name]
            cells[name] = value if value is None or process is None else process(value)
        return cells

    return to_raw


def expect(connection: Connection, source: Source, contracts: Contracts, first: int, last: int) -> Expected:
    """Folds the canonical blocks first..last from nothing."""
    expected = Expected({name: {} for name in FACTS})
    book, head, versions = Book(NoRows(), 0), LedgerHead(), Versions()
    parent: bytes | None = None
    for facts, faults in _blocks(connection, source, contracts, first, last):
        header, number = facts.header, facts.header.number
        if parent is not None and header.parent_hash != parent:
            faults.append(("parent_hash", "the block before", "another"))
        parent = header.hash
        (block,), own, head = decode([facts], head, book.event_count)
        changes = fold(book, header, block)
        rows: Facts = {name: [] for name in FACTS} | own
        collect(rows, header, block, changes, book.event_count)
        versions.add(number, changes)
        first_seq = book.event_count - len(block.events) + 1 if block.events else None
        for seq, (kind, _, _, log_index) in enumerate(block.events, start=first_seq or 0):
            expected.places[seq] = (EVENTS[kind].__name__, number, log_index)
        _add(expected, rows)
        expected.headers[number] = facts.header_rlp
        expected.hashes.add(header.hash)
        expected.findings += [
            expected.finding("bodies" if column == "body" else "blocks", column, wanted, found, first_seq, number)
            for column, wanted, found in faults
        ]
    _add(expected, versions.rows())
    expected.event_count = book.event_count
    return expected


def _add(expected: Expected, rows: Facts) -> None:
    for name, batch in rows.items():
        columns = TABLES[name].c.keys()
        keys = [column.name for column in TABLES[name].primary_key.columns]
        for cells in batch:
            row = dict(zip(columns, cells, strict=True))
            expected.tables[name][tuple(row[key] for key in keys)] = row


#: column, expected, found
Fault = tuple[str, str, str]
#: light blocks that are asked of the node at once
_TOGETHER: Final = 64


def _blocks(
    connection: Connection, source: Source, contracts: Contracts, first: int, last: int
) -> Iterator[tuple[BlockFacts, list[Fault]]]:
    """Each block as stored if its bytes fit its hash, else as the node has it, with what was wrong.

    A light block keeps no body, so its receipts are asked for anew.
    """
    rows = {row["number"]: row for row in raw_rows(connection, "blocks") if row["canonical"]}
    bodies = {row["block_hash"]: row for row in raw_rows(connection, "bodies")}
    light: dict[int, BlockFacts] = {}
    for number in range(first, last + 1):
        row = rows.get(number)
        if row is not None and not row["whole"]:
            if number not in light:
                wanted = [other for other in range(number, last + 1) if other in rows and not rows[other]["whole"]]
                light = _light_facts(source, contracts, wanted[:_TOGETHER])
            facts = light[number]
            if facts.method == "receipts":
                # How it was shown is history; that it holds is shown here.
                facts = facts._replace(method=row["method"])
            same = facts.header_rlp == row["header_rlp"]
            yield facts, [] if same else [("header_rlp", f"hash {spell(facts.header.hash)}", "another")]
            continue
        block, faults = _stored_block(row, bodies, source) if row is not None else (None, [])
        if row is None:
            faults = [("(row)", "present", "missing")]
        if block is None or block.header.number != number:
            block = source.blocks(number, number, None)[0]
        yield derive(block, contracts), faults


def _light_facts(source: Source, contracts: Contracts, numbers: list[int]) -> dict[int, BlockFacts]:
    blocks = fetch_light(source.rpc, contracts.blooms, numbers)
    return {number: derive_light(block) for number, block in zip(numbers, blocks, strict=True)}


def _stored_block(row: Row, bodies: dict[Any, Row], source: Source) -> tuple[VerifiedBlock | None, list[Fault]]:
    try:
        header = parse_header(row["header_rlp"])
    except (BadProof, TypeError, ValueError, AttributeError):
        return None, [("header_rlp", "a header", "not a header")]
    if header.hash != row["hash"]:
        return None, [("header_rlp", f"hash {spell(row['hash'])}", f"hash {spell(header.hash)}")]
    body = bodies.get(header.hash)
    if body is None:
        if source.may_hold_events(header):
            return None, [("body", "present", "missing")]
        return VerifiedBlock.of_raw(header, row["header_rlp"], (), ()), []
    return _with_body(header, row["header_rlp"], body)


def _with_body(header: Header, header_rlp: bytes, body: Row) -> tuple[VerifiedBlock | None, list[Fault]]:
    try:
        transactions, receipts = unpack(body["transactions"]), unpack(body["receipts"])
        if ordered_root(list(transactions)) == header.transactions_root and (
            ordered_root(list(receipts)) == header.receipts_root
        ):
            return VerifiedBlock.of_raw(header, header_rlp, transactions, receipts), []
    except (zlib.error, BadProof, TypeError, ValueError):
        pass
    return None, [("body", "what the header's roots name", "another")]

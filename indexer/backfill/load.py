"""Spans → the mirror: each is folded while the one before is written, all by one transaction a span."""

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection

from indexer.audit import write_audit
from indexer.backfill.process import Fetch
from indexer.backfill.spans import Span
from indexer.book import Book
from indexer.bulk import pack_facts
from indexer.commit import CursorRow, Step, fold_step, write_step
from indexer.decoded import DecodedBlock
from indexer.indexes import Indexes
from indexer.projections import Account, Delegate, Lease, NoRows
from indexer.stored import StoredRows, named_in
from protocol.clock import now_time

#: leases or accounts that are kept in memory from one span to the next, twice
_MOST_HELD: Final = 25_000
#: of one thread while another waits
_TURN_SECONDS: Final = 0.0005
#: ranges between two searches for cycles
_COLLECT_SPANS: Final = 16


class Load:
    """Stores what is fetched, from `cursor` on."""

    def __init__(self, engine: Engine, indexes: Indexes, cursor: CursorRow, finalized: int) -> None:
        self._engine = engine
        self._indexes = indexes
        self._cursor = cursor
        self._finalized = finalized
        self._book = Book(NoRows(), cursor.event_count)
        #: the book holds all that there is
        self._whole = cursor.number is None
        self._writing: Future[CursorRow] | None = None
        self._spans = 0

    def steps(self, fetch: Fetch) -> Iterator[CursorRow]:
        """The cursor after each span. Raises what fetching and storing raise; what was yielded is stored."""
        # Only here, with something to load: NumPy's import would delay every start. The first span is on its way.
        from indexer.backfill.decode import blocks_of

        with ThreadPoolExecutor(1) as writer, _in_bulk():
            while (span := fetch.next()) is not None:
                step = self._fold(span, blocks_of(span))
                yield from self._written()
                self._writing = writer.submit(self._write, step, span.proved)
                self._cursor = step.after
                self._collect()
                if self._book.age(_MOST_HELD):
                    self._whole = False
            yield from self._written()

    def _collect(self) -> None:
        """Once in a while, of what is new: what the database's library leaves in cycles would add up."""
        self._spans += 1
        if self._spans % _COLLECT_SPANS == 0:
            gc.collect(0)

    def _written(self) -> Iterator[CursorRow]:
        writing, self._writing = self._writing, None
        if writing is not None:
            yield writing.result()

    def _fold(self, span: Span, blocks: list[DecodedBlock]) -> Step:
        step = self._fold_blocks(blocks)
        for name, rows in span.rows.items():
            step.rows[name] += rows
        # Here and not as they are written, which is what everything else waits for.
        rest, packed = pack_facts(self._engine.dialect.name, step.rows)
        after = replace(step.after, proved_number=step.after.number) if span.proved else step.after
        return replace(step, rows=rest, packed=packed | span.packed, after=after)

    def _fold_blocks(self, blocks: list[DecodedBlock]) -> Step:
        if self._whole:
            return fold_step(self._book, self._cursor, blocks, self._finalized)
        with _LateRows(self._engine, self._indexes, self._settle) as rows:
            rows.fetch(self._book, blocks)
            self._book.rows = rows
            step = fold_step(self._book, self._cursor, blocks, self._finalized)
            self._book.rows = NoRows()
        return step

    def _settle(self) -> None:
        """Waits until all that was folded is stored, so that it can be read."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, step: Step, proved: bool) -> CursorRow:
        if any(name == "lease_versions" for name, _ in step.ended):
            # They are found by their key; those of the other tables by the index over what holds now, always there.
            self._indexes.require("lease_versions")
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # A step that a crash of the database undoes is fetched again: no need to wait for its disk.
                connection.execute(text("SET LOCAL synchronous_commit = off"))
            write_step(connection, step)
            if proved:
                write_audit(connection, step.after, step.after.head, now_time())
        return step.after


@contextmanager
def _in_bulk() -> Iterator[None]:
    """Without the search for cycles: rows have none, and among so many of them it would take long.

    And with short turns: the thread that writes has little to do between two answers of the database, and would wait
    longer for the one that folds than for these.
    """
    turn = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.setswitchinterval(turn)


class _LateRows:
    """Stored rows, once somebody asks: then all that was folded must have been stored before."""

    def __init__(self, engine: Engine, indexes: Indexes, settle: Callable[[], None]) -> None:
        self._engine = engine
        self._indexes = indexes
        self._settle = settle
        self._connection: Connection | None = None
        self._stored: StoredRows | None = None
        self._new: set[bytes] = set()

    def __enter__(self) -> "_LateRows":
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def fetch(self, book: Book, blocks: list[DecodedBlock]) -> None:
        """Together, what these blocks name and the book does not hold."""
        named = named_in(blocks)
        leases = {lease for lease in named.leases if not book.holds_lease(lease)} - named.opened
        accounts = {account for account in named.accounts if not book.holds_account(account)}
        self._new = {lease for lease in named.opened if not book.holds_lease(lease)}
        if not self._indexes.lacks("leases"):
            leases |= self._new
            self._new = set()
        if leases:
            # The thread that writes makes keys too.
            self._settle()
            self._indexes.require("leases", "lease_versions")
            for lease in self._open().fetch_leases(list(leases)):
                accounts |= {side for side in (lease.buyer, lease.provider) if not book.holds_account(side)}
        if accounts:
            self._open().fetch_accounts(list(accounts))

    def account(self, account: bytes) -> Account | None:
        return self._open().account(account)

    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        return self._open().delegate(buyer, key)

    def lease(self, lease: bytes) -> Lease | None:
        if lease in self._new:
            # Without its key a table cannot say so; making the key at the end fails if it is there twice.
            return None
        return self._open().lease(lease)

    def _open(self) -> StoredRows:
        if self._stored is None:
            self._settle()
            self._connection = self._engine.connect()
            self._stored = StoredRows(self._connection)
        return self._stored

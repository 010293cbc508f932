"""The read door: all that explorer and backend see of the mirror. What may be asked is in `indexer.read`, by topic.

Each call of a `Mirror` is one snapshot and never waits; `snapshot` gives one that many calls share.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, ProgrammingError

from indexer.errors import MirrorMissing
from indexer.levels import Finality, Level
from indexer.prove import NoSuchLog
from indexer.read.blocks import BlockReads
from indexer.read.connections import Connections
from indexer.read.events import EventsWanted
from indexer.read.leases import LeaseReads, LeasesWanted, PaymentsWanted
from indexer.read.progress import ProgressReads
from indexer.read.raw import LogsWanted, RawReads, TooMuch, Window
from indexer.read.statement import StatementReads
from indexer.reading import Cells
from indexer.rows import (
    AccountRow,
    AuditRow,
    BlockRow,
    ClaimRow,
    DelegateRow,
    DisputeRow,
    EventRow,
    Hit,
    Holder,
    Interval,
    LeaseRow,
    LogRow,
    MirrorStatus,
    PaymentRow,
    Place,
    ProviderRow,
    ReceiptLogRow,
    ReorgRow,
    StatementRow,
    Stats,
    Total,
    TransactionRow,
    WholeBlock,
    WholeTransaction,
)
from indexer.store import open_reader, sqlite_path

__all__ = [
    "AccountRow",
    "AuditRow",
    "BlockRow",
    "ClaimRow",
    "DelegateRow",
    "DisputeRow",
    "EventRow",
    "EventsWanted",
    "Finality",
    "Hit",
    "Holder",
    "Interval",
    "LeaseRow",
    "LeasesWanted",
    "Level",
    "LogRow",
    "LogsWanted",
    "Mirror",
    "MirrorMissing",
    "MirrorStatus",
    "NoSuchLog",
    "PaymentRow",
    "PaymentsWanted",
    "Place",
    "ProviderRow",
    "Reads",
    "ReceiptLogRow",
    "ReorgRow",
    "StatementRow",
    "Stats",
    "TooMuch",
    "Total",
    "TransactionRow",
    "WholeBlock",
    "WholeTransaction",
    "Window",
]

_UNDEFINED_TABLE: Final = "42P01"


class Reads(ProgressReads, StatementReads, LeaseReads, BlockReads, RawReads):
    """All that can be asked, of a mirror or of one snapshot of it."""


class Snapshot(Reads):
    """One state of the mirror, for as long as it is open; it keeps a connection."""

    def __init__(self, connection: Connection, confirmations: int) -> None:
        self._connection = connection
        self._confirmations = confirmations
        self._known: Cells | None = None

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        yield self._connection

    def _progress(self) -> Cells:
        # A snapshot stands still, so one look is enough.
        if self._known is None:
            self._known = super()._progress()
        return self._known


class Mirror(Reads):
    """One mirror, read only. It may appear later than this object: until then calls raise `MirrorMissing`."""

    def __init__(self, url: str, *, confirmations: int = 1) -> None:
        """`confirmations`: blocks, its own included, that make a lease `confirmed`."""
        self._url = url
        self._path = sqlite_path(url)
        self._confirmations = confirmations
        self._connections: Connections | None = None
        #: inode of the open SQLite file
        self._file: int | None = None
        #: the connection of the call that this thread is in
        self._calls = local()

    @property
    def path(self) -> Path | None:
        """The file of a SQLite mirror; None on a server."""
        return self._path

    def close(self) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    @contextmanager
    def snapshot(self) -> Iterator[Reads]:
        """All calls inside see one state, whatever is committed or rolled back meanwhile."""
        with self._connect() as connection:
            yield Snapshot(connection, self._confirmations)

    def _open(self) -> Connections:
        """To the file that is there now: a dev chain that starts anew makes another one."""
        file = None
        if self._path is not None:
            try:
                file = os.stat(self._path).st_ino
            except FileNotFoundError:
                self.close()
                raise MirrorMissing(self._url) from None
        if self._connections is None or file != self._file:
            self.close()
            engine = open_reader(self._url)
            if self._path is None:
                # A server's default would give every statement a snapshot of its own.
                engine = engine.execution_options(isolation_level="REPEATABLE READ")
            self._connections, self._file = Connections(engine), file
        return self._connections

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """One connection for all that a call asks, so that its answer is of one state; calls never await."""
        held: Connection | None = getattr(self._calls, "connection", None)
        if held is not None:
            yield held
            return
        with self._connect() as connection:
            self._calls.connection = connection
            try:
                yield connection
            finally:
                self._calls.connection = None

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            with self._open().lend() as connection:
                yield connection
        except (OperationalError, ProgrammingError) as error:
            # SQLite says it in words, PostgreSQL by a code.
            if "no such table" in str(error) or getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
                raise MirrorMissing(self._url) from error
            raise

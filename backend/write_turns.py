"""Whose turn it is to write to a SQLite file (threat Q4): who waits longest is next, in whichever process it is.

SQLite gives its write lock to whoever asks at the right moment, and asks again after up to a tenth of a second. So a
process that writes one transaction after the other would keep all others out. Here a second lock is held while waiting
for the first: who has just written has to wait for it behind whoever waits already.

Buyers have such a line of their own, and whoever stands in the other one lets them pass, for a while.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

BUSY_SECONDS: Final = 10.0
"""For so long a transaction waits for its turn."""
_ASK_SECONDS: Final = 0.001
_POLITE_SECONDS: Final = 0.05
"""So long buyers are let pass; then it is one's own turn too."""


class WriteTurns:
    """Of one SQLite file; `path` is the database's, None for one in memory."""

    def __init__(self, path: str | None) -> None:
        self._path = path

    def take(self, connection: Connection) -> None:
        """Begins a transaction that may write; raises `OperationalError` if none is to be had in time."""
        with self._lines() as lines:
            asking = _Asking(lines.others, lines.buyers)
            while not asking(connection):
                time.sleep(_ASK_SECONDS)

    async def take_on_loop(self, connection: Connection, is_first: Callable[[], bool]) -> None:
        """The same, while the event loop serves others. `is_first`: whether a buyer waits for it by now."""
        with self._lines() as lines:
            as_other, as_buyer = _Asking(lines.others, lines.buyers), _Asking(lines.buyers, None)
            while not (as_buyer if is_first() else as_other)(connection):
                await asyncio.sleep(_ASK_SECONDS)

    @contextmanager
    def _lines(self) -> Iterator["_Lines"]:
        # Descriptors of its own for each who waits: threads of one process are in each other's way as well.
        paths = [] if self._path is None else [f"{self._path}.first", f"{self._path}.turn"]
        opened = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644) for path in paths]
        try:
            yield _Lines(*opened)
        finally:
            for descriptor in opened:
                os.close(descriptor)


class _Lines(NamedTuple):
    """Files whose lock the next one of each line has; None where nobody else can write."""

    buyers: int | None = None
    others: int | None = None


class _Asking:
    """One who waits, in `line`, and lets those pass who wait `before`."""

    def __init__(self, line: int | None, before: int | None) -> None:
        self._line, self._before = line, before
        self._is_next = line is None
        self._begun = time.monotonic()

    def __call__(self, connection: Connection) -> bool:
        """Whether the transaction has begun."""
        if self._line is not None and not self._is_next:
            self._is_next = _locked(self._line, fcntl.LOCK_EX)
        waited = time.monotonic() - self._begun
        if self._is_next and (waited > _POLITE_SECONDS or self._is_nobody_before()) and _begun(connection):
            return True
        if waited > BUSY_SECONDS:
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("the database is locked by another process"))
        return False

    def _is_nobody_before(self) -> bool:
        if self._before is None:
            return True
        if not _locked(self._before, fcntl.LOCK_SH):
            return False
        # It was only to see.
        fcntl.flock(self._before, fcntl.LOCK_UN)
        return True


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def driver_of(connection: Connection) -> Any:
    """The driver's own connection, for what is asked again and again: SQLAlchemy's way costs more than the answer."""
    return connection.connection.dbapi_connection


def _begun(connection: Connection) -> bool:
    raw = driver_of(connection)
    raw.execute("PRAGMA busy_timeout=0")
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise OperationalError("BEGIN IMMEDIATE", None, error) from error
        return False
    finally:
        raw.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    return True

"""Whose turn it is to write to a SQLite file (threat Q4): who waits longest is next, in whichever process it is.

SQLite gives its write lock to whoever asks at the right moment, and asks again after up to a tenth of a second. So a
process that writes one transaction after the other would keep all others out. Here a second lock is held while waiting
for the first: who has just written has to wait for it behind whoever waits already.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

BUSY_SECONDS: Final = 10.0
"""For so long a transaction waits for its turn."""
_ASK_SECONDS: Final = 0.001


class WriteTurns:
    """Of one SQLite file; `path` is the database's, None for one in memory."""

    def __init__(self, path: str | None) -> None:
        self._path = path and f"{path}.turn"

    def take(self, connection: Connection) -> None:
        """Begins a transaction that may write; raises `OperationalError` if none is to be had in time."""
        with self._asking() as asking:
            while not asking(connection):
                time.sleep(_ASK_SECONDS)

    async def take_on_loop(self, connection: Connection) -> None:
        """The same, while the event loop serves others."""
        with self._asking() as asking:
            while not asking(connection):
                await asyncio.sleep(_ASK_SECONDS)

    @contextmanager
    def _asking(self) -> Iterator["_Asking"]:
        # A file of its own for each who waits: threads of one process are in each other's way as well.
        waiting = None if self._path is None else os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            yield _Asking(waiting)
        finally:
            if waiting is not None:
                os.close(waiting)


class _Asking:
    """One who waits."""

    def __init__(self, waiting: int | None) -> None:
        self._waiting = waiting
        self._is_next = waiting is None
        self._deadline = time.monotonic() + BUSY_SECONDS

    def __call__(self, connection: Connection) -> bool:
        """Whether the transaction has begun."""
        if self._waiting is not None and not self._is_next:
            self._is_next = _locked(self._waiting)
        if self._is_next and _begun(connection):
            return True
        if time.monotonic() > self._deadline:
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("the database is locked by another process"))
        return False


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _begun(connection: Connection) -> bool:
    """Past SQLAlchemy, because it is asked again and again."""
    raw: Any = connection.connection.dbapi_connection
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

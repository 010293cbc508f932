"""Only one process runs a named piece of work at a time; the lock dies with its holder (threat Q4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from backend.db import Database


@contextmanager
def alone(db: Database, name: str) -> Iterator[bool]:
    """True inside if this process has the lock; does not wait. The kernel or PostgreSQL frees a dead holder's lock."""
    if db.engine.dialect.name == "sqlite":
        lock = _file(db.engine, name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()
        return
    with _session(db.engine) as connection:
        asked = text("SELECT pg_try_advisory_lock(:number)")
        mine = bool(connection.execute(asked, {"number": _number(name)}).scalar())
        try:
            yield mine
        finally:
            if mine:
                _release(connection, name)


@contextmanager
def in_turn(engine: Engine, name: str) -> Iterator[None]:
    """Waits until nobody else has the lock."""
    if engine.dialect.name == "sqlite":
        with _file(engine, name):
            yield
        return
    with _session(engine) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _number(name)})
        try:
            yield
        finally:
            _release(connection, name)


def _file(engine: Engine, name: str) -> FileLock:
    return FileLock(f"{engine.url.database}.{name}.lock")


def _session(engine: Engine) -> Connection:
    """No transaction is left open for as long as the lock is held."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def _number(name: str) -> int:
    return crc32(name.encode())


def _release(connection: Connection, name: str) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _number(name)})
    except DBAPIError:
        # The server ended the session, and with it the lock. What was done meanwhile has said so itself.
        connection.invalidate()

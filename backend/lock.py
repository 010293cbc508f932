"""Only one process runs a named piece of work at a time; the lock dies with its holder (threat Q4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from filelock import FileLock, Timeout
from sqlalchemy import text

from backend.db import Database


@contextmanager
def alone(db: Database, name: str) -> Iterator[bool]:
    """True inside if this process has the lock; does not wait. The kernel or PostgreSQL frees a dead holder's lock."""
    if db.engine.dialect.name == "sqlite":
        lock = FileLock(db.url.removeprefix("sqlite:///") + f".{name}.lock")
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
    number = crc32(name.encode())
    with db.engine.connect() as connection:
        mine = bool(connection.execute(text("SELECT pg_try_advisory_lock(:n)"), {"n": number}).scalar())
        try:
            yield mine
        finally:
            if mine:
                connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": number})

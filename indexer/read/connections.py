"""Open connections between two reads: to take one from SQLAlchemy's pool costs as much as to read some rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError


class Connections:
    """Of one engine; a read has one for itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: in no transaction; threads take and give in any order
        self._idle: list[Connection] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """What is read by it is of one transaction, which ends with it."""
        connection = self._take()
        try:
            yield connection
        except DBAPIError:
            # Of a server that went away the idle ones are gone too.
            connection.close()
            self._drop()
            raise
        except BaseException:
            self._give(connection)
            raise
        self._give(connection)

    def close(self) -> None:
        """A connection that is lent is closed when it comes back."""
        self._closed = True
        self._drop()
        self._engine.dispose()

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    def _give(self, connection: Connection) -> None:
        connection.rollback()
        self._idle.append(connection)
        if self._closed:
            self._drop()

    def _drop(self) -> None:
        while self._idle:
            self._idle.pop().close()

"""The market's database: one request or task is one transaction; services never commit.

SQLite takes its write lock when a transaction begins, so that two writers wait instead of failing half-way. Where a
PostgreSQL died, the next transaction has a new connection; whether the one before was committed, its rows tell.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from backend.group_commit import GroupCommit
from backend.write_turns import BUSY_SECONDS, WriteTurns, driver_of
from protocol.clock import now_milliseconds

T = TypeVar("T")

_CONNECT_SECONDS = 5
_STATEMENT_MILLISECONDS = 30_000


class _Session(Session):
    """Asks once for its connection, and not again for each statement of its one transaction.

    Over a connection that is open already it need not ask: statements of our own run on that one as it is, and only who
    uses the ORM has the session join its transaction, which costs more than most of what is read by it.
    """

    _held: Connection | None = None

    def connection(self, *arguments: Any, **options: Any) -> Connection:
        if arguments or options:
            return super().connection(*arguments, **options)
        if self._held is None:
            self._held = self.bind if isinstance(self.bind, Connection) else super().connection()
        return self._held

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self._held = None

    def rollback(self) -> None:
        self._held = None
        super().rollback()

    def close(self) -> None:
        self._held = None
        super().close()


class Database:
    """Sessions for reading and for writing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        #: of transactions that write
        kind: type[Session] = _Session
        self.sessions = sessionmaker(self.engine, class_=kind, expire_on_commit=False)
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._turns = WriteTurns(self.engine.url.database if self._is_sqlite else None)
        self._joined = GroupCommit(self.engine, self.sessions, self._turns)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any error."""
        with self.sessions() as session:
            if self._is_sqlite:
                self._turns.take(session.connection())
            try:
                yield session
            except BaseException:
                session.rollback()
                raise
            try:
                session.commit()
            except DBAPIError:
                # The connection may still be in the transaction, and would keep it open for whoever gets it next.
                session.invalidate()
                raise

    async def written(self, work: Callable[[Session], T], *, is_first: bool = False) -> T:
        """What `work` returns, once its transaction is committed: `write` for the event loop.

        On SQLite it shares one with others that wait, each on its own savepoint, those `is_first` in turn with the
        others; a server does so by itself.
        """
        if self._is_sqlite:
            return await self._joined.run(work, is_first=is_first)
        with self.write() as session:
            return work(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with self.engine.connect() as connection, _Session(connection) as session:
            yield session

    def now_ms(self, session: Session) -> int:
        """Unix milliseconds by the database's clock, so that machines need not agree about the time."""
        if self._is_sqlite:
            return now_milliseconds()
        asked = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        return int(session.connection().execute(asked).scalar_one())

    def migrate(self) -> None:
        """Brings the schema to the newest revision. Processes that start at once wait for one another."""
        if self.url.startswith("sqlite:///"):
            Path(self.url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self.engine
        command.upgrade(config, "head")

    def revision(self) -> str | None:
        """The schema's revision; None where no table was made yet."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            # A connection that a restart of the server cut is noticed before it is used.
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "options": f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
                # A server whose machine is gone does not answer, and does not say so.
                "keepalives_idle": _CONNECT_SECONDS,
                "keepalives_interval": _CONNECT_SECONDS,
                "keepalives_count": 3,
            },
        )
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        # The driver must not open transactions of its own: `write` begins them.
        connection.isolation_level = None
        cursor: Any = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: what was acknowledged to a buyer or a provider survives a power cut.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    # Each request that shares a commit has one, and SQLAlchemy would compile each anew, for its name.
    engine.dialect.do_savepoint = _savepoint  # type: ignore[method-assign]
    engine.dialect.do_release_savepoint = _release  # type: ignore[method-assign]
    return engine


def _savepoint(connection: Connection, name: str) -> None:
    driver_of(connection).execute(f"SAVEPOINT {name}")


def _release(connection: Connection, name: str) -> None:
    driver_of(connection).execute(f"RELEASE SAVEPOINT {name}")

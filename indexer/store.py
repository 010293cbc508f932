"""The mirror's database: how it is opened, and brought to its newest schema.

One writer, many readers. On SQLite the writer takes its lock when a transaction begins, so that what it asserts first
still holds when it commits; readers see whole steps and never wait.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    Engine,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from indexer.errors import MirrorMissing
from indexer.indexes import later_indexes
from indexer.tables import mirror_registry

if TYPE_CHECKING:
    from alembic.config import Config

#: the revision of the schema that this code reads and writes
NEWEST: Final = "0005"
#: of a writer's pages, in kibibytes: SQLite's own
_CACHE: Final = 2_000
#: of the file, for readers: a page that the system holds is read without a call to it
_MAPPED_BYTES: Final = 1 << 30
#: where a transaction changes pages everywhere: those that do not fit are written to the log twice
_WIDE_CACHE: Final = 32_768
#: Alembic's own table, as it makes it
_REVISIONS: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite mirror, None for another database."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def open_writer(url: str) -> Engine:
    """For the one process that follows; creates the file's folder."""
    path = sqlite_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    if path is not None:
        _prepare(engine, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=NORMAL"))
    return engine


def open_reader(url: str, *, damaged: bool = False) -> Engine:
    """Cannot write, cannot create; `damaged` reads text that is none too. Raises `MirrorMissing` without a file."""
    path = sqlite_path(url)
    if path is None:
        # All that is read in one transaction is of one step of the mirror, as it is on SQLite.
        return create_engine(url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True})
    if not path.exists():
        raise MirrorMissing(url)
    # mode=rw instead of ro: a reader that comes first must be able to make WAL's index beside the file.
    engine = create_engine(f"sqlite:///file:{os.fspath(path)}?mode=rw&uri=true")
    # A damaged file is read by calls, which fail; what is mapped ends the process.
    mapped = "mmap_size=0" if damaged else f"mmap_size={_MAPPED_BYTES}"
    _prepare(engine, begin=None, pragmas=("query_only=ON", mapped))
    if damaged:
        event.listen(engine, "connect", _read_any_text)
    return engine


@contextmanager
def wide_cache(connection: Connection) -> Iterator[None]:
    """For a writer's transaction, inside it: a larger cache while it lasts, because so few need one."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql(f"PRAGMA cache_size=-{_WIDE_CACHE}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size=-{_CACHE}")


def _read_any_text(connection: Any, _: Any) -> None:
    connection.text_factory = lambda data: data.decode(errors="replace")


def _prepare(engine: Engine, *, begin: str | None, pragmas: tuple[str, ...]) -> None:
    def on_connect(connection: Any, _: Any) -> None:
        # Python's sqlite3 would begin transactions by itself, and too late.
        connection.isolation_level = None
        for pragma in ("busy_timeout=10000", *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    def on_begin(connection: Connection) -> None:
        if begin is not None:
            connection.exec_driver_sql(begin)
            return
        # Readers begin often and take no lock then, so that nothing can fail that SQLAlchemy would have to spell.
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)


def migrate(engine: Engine, *, loading: bool = False) -> None:
    """Brings the schema to the newest revision; a new one, where much will be loaded at once, without some indexes.

    Whoever loads makes these (`indexer.indexes`).
    """
    with engine.begin() as connection:
        if not inspect(connection).has_table(_REVISIONS.name):
            _create(connection, later_indexes(connection) if loading else [])
        elif connection.execute(select(_REVISIONS.c.version_num)).scalar() != NEWEST:
            # Only now: most starts find nothing to do, and its import takes longer than all else that they do.
            from alembic import command

            command.upgrade(alembic_config(connection), "head")


def _create(connection: Connection, later: Collection[Index]) -> None:
    """The newest schema at once, which the migrations would come to one after another."""
    _REVISIONS.create(connection)
    connection.execute(_REVISIONS.insert().values(version_num=NEWEST))
    for table in mirror_registry.metadata.sorted_tables:
        connection.execute(CreateTable(table))
        for index in table.indexes:
            if index not in later:
                connection.execute(CreateIndex(index))


def alembic_config(connection: Connection) -> "Config":
    """Alembic's settings for an open connection; the migrations are inside the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", os.fspath(Path(str(files("indexer") / "migrations"))))
    config.attributes["connection"] = connection
    return config

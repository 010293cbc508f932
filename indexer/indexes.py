"""Indexes that a first backfill on PostgreSQL does without: made at the end, sorted, they cost much less.

Which are missing is read from the database, so a process that dies leaves nothing to repair: the next one goes on
without them, or makes them when it needs them or has caught up. What the fold needs often is always there.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import Dialect, Engine, Index, PrimaryKeyConstraint, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, DropIndex

from indexer.tables import TABLES

#: tables whose keys hold random bytes or come several to an event
_KEYS: Final = ("account_versions", "lease_versions", "leases", "parties")
#: tables whose other indexes are made later
_OTHERS: Final = ("events", "leases", "payments", "transactions")
#: tables are done two at a time, these first, which take longest: each build sorts, and machines have several cores
_TOGETHER: Final = 2
_LONGEST: Final = ("leases", "parties", "events", "account_versions")

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]
Part = Index | PrimaryKeyConstraint


class Indexes:
    """Of one mirror. Elsewhere than on PostgreSQL nothing is ever missing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._missing: dict[str, list[Part]] = {}
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                self._missing = _missing(connection)

    @property
    def complete(self) -> bool:
        return not self._missing

    def lacks(self, table: str) -> bool:
        """Whether a row of the table cannot be found by its key."""
        return any(isinstance(part, PrimaryKeyConstraint) for part in self._missing.get(table, []))

    def drop(self) -> None:
        """For a mirror that is empty."""
        if self._engine.dialect.name != "postgresql":
            return
        with self._engine.begin() as connection:
            for name, parts in _deferrable().items():
                for part in parts:
                    if part in self._missing.get(name, []):
                        continue
                    if isinstance(part, Index):
                        connection.execute(DropIndex(part))
                    else:
                        connection.execute(text(f"ALTER TABLE {name} DROP CONSTRAINT {_name(part)}"))
            self._missing = _missing(connection)

    def require(self, *tables: str) -> None:
        """Makes the keys of these tables, if they are missing."""
        for name in tables:
            if self.lacks(name):
                keys = [part for part in self._missing[name] if isinstance(part, PrimaryKeyConstraint)]
                for key in keys:
                    self._make(key)
                self._missing[name] = [part for part in self._missing[name] if part not in keys]

    def make(self) -> None:
        """Makes all that are missing."""
        tables = sorted(self._missing, key=lambda name: _LONGEST.index(name) if name in _LONGEST else len(_LONGEST))
        with ThreadPoolExecutor(_TOGETHER) as threads:
            # To the end, so that an error is raised.
            list(threads.map(self._make_all_of, tables))
        self._missing = {}

    def _make_all_of(self, table: str) -> None:
        # One after another: a key locks its table.
        for part in sorted(self._missing[table], key=lambda part: isinstance(part, Index)):
            self._make(part)

    def _make(self, part: Part) -> None:
        with self._engine.begin() as connection:
            # The database's own helpers for one index would compete with the other index.
            connection.execute(text("SET LOCAL max_parallel_maintenance_workers = 0"))
            if isinstance(part, Index):
                connection.execute(CreateIndex(part))
                return
            columns = ",".join(column.name for column in part.columns)
            statement = f"ALTER TABLE {part.table.name} ADD CONSTRAINT {_name(part)} PRIMARY KEY ({columns})"
            connection.execute(text(statement))


def later_indexes(connection: Connection) -> list[Index]:
    """Those that a new mirror can come without; keys are part of their tables."""
    if connection.dialect.name != "postgresql":
        return []
    return [part for parts in _deferrable().values() for part in parts if isinstance(part, Index)]


def _deferrable() -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for name in _OTHERS:
        found.setdefault(name, []).extend(sorted(TABLES[name].indexes, key=lambda index: str(index.name)))
    for name in _KEYS:
        found.setdefault(name, []).append(TABLES[name].primary_key)
    return found


def _missing(connection: Connection) -> dict[str, list[Part]]:
    query = "SELECT relname FROM pg_class WHERE relnamespace = current_schema::regnamespace AND relkind IN ('i', 'I')"
    there = set(connection.execute(text(query)).scalars())
    found = {}
    for name, parts in _deferrable().items():
        missing = [part for part in parts if _name(part) not in there]
        if missing:
            found[name] = missing
    return found


def _name(part: Part) -> str:
    # The naming convention says it, where the table does not.
    return str(_DIALECT.identifier_preparer.format_constraint(part))

"""Rows in bulk, past the ORM: `executemany` on SQLite, binary COPY on PostgreSQL, in the caller's transaction."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.engine import Connection

from indexer.copy import layout
from indexer.decoded import Facts
from indexer.facts import Row
from indexer.layout import Layout, Packed
from indexer.tables import TABLES, Unsigned64
from indexer.versions import Ended

#: tables whose rows a fetching process can make
_OF_LOGS: Final = ("events", "leases", "transactions")


def packed_layouts(dialect: str) -> dict[str, Layout]:
    """How a database's rows should come packed; by none on SQLite."""
    return {name: layout(name) for name in _OF_LOGS} if dialect == "postgresql" else {}


def pack_facts(dialect: str, facts: Facts) -> tuple[Facts, dict[str, Packed]]:
    """The rows by table, for PostgreSQL all of them packed."""
    if dialect != "postgresql":
        return facts, {}
    # Only here: SQLite's mirror does without NumPy, and its import takes a while.
    from indexer.packing import pack

    return {}, {name: pack(layout(name), rows) for name, rows in facts.items() if rows}


def insert_facts(connection: Connection, name: str, rows: Sequence[Row]) -> None:
    """Adds rows to a table; a row that is there already is an error of the database."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        statement, spell = _sqlite_insert(name)
        connection.connection.cursor().executemany(statement, [spell(row) for row in rows] if spell else rows)
        return
    _, packed = pack_facts(connection.dialect.name, {name: list(rows)})
    insert_packed(connection, name, packed[name])


def insert_packed(connection: Connection, name: str, packed: Packed) -> None:
    """Like `insert_facts`, on PostgreSQL, of rows that are packed."""
    # SQLAlchemy's wrapper passes on what psycopg adds to the DBAPI.
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {name} ({','.join(packed.columns)}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(packed.data)


def end_versions(connection: Connection, ended: Iterable[tuple[str, list[Ended]]]) -> None:
    """Ends the versions that hold now, where there are any: (block that ends it, key's cells) by table."""
    for name, ends in ended:
        keys = key_columns(TABLES[name])
        cursor = connection.connection.cursor()
        if connection.dialect.name == "sqlite":
            where = " AND ".join([f"{key} = ?" for key in keys])
            cursor.executemany(f"UPDATE {name} SET valid_to = ? WHERE {where} AND valid_to IS NULL", ends)  # noqa: S608
        else:
            # One statement: of many each would take as long as all.
            cells = ", ".join(["unnest(%s::bigint[]) AS ended_by", *[f"unnest(%s::bytea[]) AS {key}" for key in keys]])
            where = " AND ".join([f"{name}.{key} = ended.{key}" for key in keys])
            cursor.execute(
                f"UPDATE {name} SET valid_to = ended_by FROM (SELECT {cells}) ended "  # noqa: S608 (our names)
                f"WHERE {where} AND valid_to IS NULL",
                [list(column) for column in zip(*ends, strict=True)],
            )


def key_columns(table: Table) -> list[str]:
    """What a row is of: the key without its last column, which says since when."""
    return [column.name for column in table.primary_key.columns][:-1]


@cache
def _sqlite_insert(name: str) -> tuple[str, Callable[[Row], tuple[Any, ...]] | None]:
    """The statement, and how a row's 64-bit numbers are spelt where the table has any."""
    columns = list(TABLES[name].c)
    marks = ",".join("?" * len(columns))
    statement = f"INSERT INTO {name} ({','.join(column.name for column in columns)}) VALUES ({marks})"  # noqa: S608
    wide = [index for index, column in enumerate(columns) if isinstance(column.type, Unsigned64)]

    def spell(row: Row) -> tuple[Any, ...]:
        cells: list[Any] = list(row)
        for index in wide:
            if cells[index] is not None:
                cells[index] = f"{cells[index]:020d}"
        return tuple(cells)

    return statement, spell if wide else None

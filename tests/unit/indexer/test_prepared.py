"""What the driver is asked by a prepared statement is what SQLAlchemy would have asked, cell by cell."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    column,
    select,
    table,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from indexer.prepared import changed, named_rows, prepare, put, rows, value
from indexer.queries import EventsWanted, Snapshot
from indexer.store import open_reader
from indexer.tables import TABLES, Unsigned64
from protocol.events import LeaseOpened
from tests.support.databases import Database
from tests.support.stored_mirror import StoredMirror, random_events

_NUMBER, _FLAG, _BYTES, _COUNT = (
    bindparam("number", type_=BigInteger()),
    bindparam("flag", type_=Boolean()),
    bindparam("bytes", type_=LargeBinary()),
    bindparam("count", type_=Unsigned64()),
)


@pytest.fixture
def stored(tmp_path: Path, database: Database) -> Iterator[StoredMirror]:
    made = StoredMirror(tmp_path, database)
    made.grow(random_events(5, [4] * 15))
    yield made
    made.close()


class Compared(Snapshot):
    """Asks everything both ways."""

    prepared = 0

    def _rows(self, query: Any, values: Any = None) -> Any:
        names, rows = super()._rows(query, values)
        if values is not None:
            self.prepared += 1
            result = self._connection.execute(query, values)
            assert names == tuple(result.keys())
            expected = [tuple(row) for row in result.all()]
            assert list(rows) == expected
            for row, other in zip(rows, expected, strict=True):
                assert list(map(type, row)) == list(map(type, other))
        return names, rows


def test_the_lists_of_the_read_door_are_what_sqlalchemy_gives(stored: StoredMirror) -> None:
    with stored.engine.connect() as connection:
        now = Compared(connection, 1)
        status = now.status()
        opened = [row.event for row in now.events(kind="LeaseOpened") if isinstance(row.event, LeaseOpened)]
        account, lease = opened[0].buyer, opened[0].lease
        filters: list[EventsWanted] = [
            {"lease": lease},
            {"account": account},
            {"kind": "VoucherRedeemed", "at_block": 9},
            {"canonical": None},
        ]
        for wanted in filters:
            rows = now.events(limit=3, **wanted)
            place: Any = (rows[-1].block_number, rows[-1].log_index)
            place = (*place, rows[-1].block_hash) if "canonical" in wanted else place
            now.events(limit=2, before=place, **wanted)
            now.events(limit=2, after=place, **wanted)
        assert now.leases(buyer=account)
        assert now.leases(at_block=9)
        assert now.payments(limit=2, before=(status.block_number, 0))
        assert now.blocks(5, before=12)
        assert now.transactions(account=account, at_block=status.block_number)
        assert now.statement(account)
        assert now.is_canonical(status.block_hash)
        assert now.hashes({3, 9})
        assert now.prepared > 20


def test_values_and_cells_are_read_as_their_types_say(stored: StoredMirror) -> None:
    given = {"number": 2**40, "flag": True, "bytes": b"\0\xff", "count": 2**64 - 1}
    query = select(*[part.label(part.key) for part in (_NUMBER, _FLAG, _BYTES, _COUNT)])
    with stored.engine.connect() as connection:
        statement = prepare(query, connection.dialect)
        assert [dict(zip(statement.names, row, strict=True)) for row in statement.rows(connection, given)] == [given]
        other = given | {"flag": False, "count": 7}
        assert statement.rows(connection, other) == [tuple(other.values())]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 40])
def test_a_list_may_have_any_length_and_few_lengths_have_a_text_of_their_own(stored: StoredMirror, count: int) -> None:
    blocks = TABLES["blocks"].c
    query = select(blocks.number, blocks.hash).where(
        blocks.number.in_(bindparam("numbers", expanding=True)),
        blocks.hash.not_in(bindparam("hashes", expanding=True)),
    )
    with stored.engine.connect() as connection:
        given = {"numbers": list(range(1, count + 1)), "hashes": [bytes(32)] * 3}
        expected = connection.execute(query, given).all()
        assert sorted(rows(connection, query, given)) == sorted(map(tuple, expected))
        assert len(expected) == min(count, 15)
        # What was prepared for a length serves other values.
        other = {"numbers": [number + 4 for number in range(count)], "hashes": [bytes(32)] * 4}
        assert sorted(rows(connection, query, other)) == sorted(map(tuple, connection.execute(query, other).all()))


def test_a_list_may_be_as_long_as_the_database_takes(stored: StoredMirror) -> None:
    number = TABLES["blocks"].c.number
    query = select(number).where(number.in_(bindparam("numbers", expanding=True)))
    with stored.engine.connect() as connection:
        # More than half of what it takes: filled up to a power of two it would be too long.
        longest = 40_000
        if connection.dialect.name == "sqlite":
            raw: Any = connection.connection.dbapi_connection
            raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
            longest = 20_000
        assert len(rows(connection, query, {"numbers": range(1, longest + 1)})) == 15


def test_changes_tell_how_many_rows_they_were_or_what_they_return(stored: StoredMirror) -> None:
    kept = Table(
        "kept", MetaData(), Column("id", Integer, primary_key=True), Column("name", String), Column("on", Boolean)
    )
    insert, where = kept.insert(), kept.c.id.in_(bindparam("ids", expanding=True))
    turned = update(kept).where(where).values(on=bindparam("on_", type_=Boolean()))
    named = turned.returning(kept.c.id, kept.c.name, kept.c.on)
    with stored.engine.connect() as connection:
        kept.create(connection)
        put(connection, insert, [])
        put(connection, insert, [{"id": 1, "name": "a", "on": False}])
        put(connection, insert, [{"id": n, "name": None, "on": True} for n in (2, 3)])
        assert changed(connection, turned, {"ids": [1, 2, 9], "on_": True}) == 2
        found = named_rows(connection, named, {"ids": [1], "on_": False})
        assert [(row.id, row.name, row.on) for row in found] == [(1, "a", False)]
        assert connection.execute(select(kept).order_by(kept.c.id)).all() == [
            (1, "a", False),
            (2, None, True),
            (3, None, True),
        ]
        assert value(connection, select(kept.c.name).where(where), {"ids": [1]}) == "a"
        assert value(connection, select(kept.c.name).where(where), {"ids": []}) is None
        with pytest.raises(IntegrityError):
            put(connection, insert, [{"id": 1, "name": "again", "on": False}])
        connection.rollback()


def test_all_is_of_one_transaction(stored: StoredMirror) -> None:
    query = (
        select(TABLES["blocks"].c.number)
        .order_by(TABLES["blocks"].c.number.desc())
        .limit(bindparam("limit", 1, Integer()))
    )
    reader = open_reader(stored.engine.url.render_as_string(hide_password=False))
    with reader.connect() as connection:
        statement = prepare(query, reader.dialect)
        before = statement.rows(connection, {})
        stored.grow(random_events(6, [1, 1]))
        assert statement.rows(connection, {}) == before
        connection.rollback()
        assert statement.rows(connection, {}) != before
    reader.dispose()


def test_a_failure_is_said_as_sqlalchemy_says_it(stored: StoredMirror) -> None:
    missing = select(column("number", Integer())).select_from(table("no_such_table_here"))
    with stored.engine.connect() as connection:
        statement = prepare(missing, connection.dialect)
        with pytest.raises((OperationalError, ProgrammingError), match="no_such_table_here"):
            statement.rows(connection, {})


def test_a_constant_may_be_null_and_what_python_would_fill_in_has_to_be_named(stored: StoredMirror) -> None:
    filled = Table("filled", MetaData(), Column("id", Integer, primary_key=True), Column("on", Boolean, default=True))
    emptied = update(filled).where(filled.c.id == bindparam("which", type_=Integer())).values(on=None)
    with stored.engine.connect() as connection:
        filled.create(connection)
        put(connection, filled.insert(), [{"id": 1, "on": True}])
        assert changed(connection, emptied, {"which": 1}) == 1
        assert value(connection, select(filled.c.on), {}) is None
        with pytest.raises(LookupError, match="name columns"):
            put(connection, filled.insert(), [{"id": 2}])
        connection.rollback()

"""Rows packed by us are what PostgreSQL reads back, for every table and at the ends of every type."""

import random
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, SmallInteger, String, select

from indexer.bulk import insert_facts
from indexer.facts import FACTS
from indexer.partitions import SPAN_BLOCKS, ensure_partitions, partitions_in
from indexer.store import migrate, open_writer
from indexer.tables import TABLES, Unsigned64
from tests.support.databases import Database

ROWS = 40


def cell(column: Column[Any], dice: random.Random, number: int) -> Any:
    if column.nullable and dice.random() < 0.4:
        return None
    if isinstance(column.type, LargeBinary):
        size = column.info.get("size")
        return dice.randbytes(dice.choice((0, 1, 33, 700)) if size is None else size)
    if isinstance(column.type, Unsigned64):
        zeros = 10 ** dice.randrange(20)
        return dice.choice((0, 1, 9_999, 10_000, 10_001, zeros, 2**63, 2**64 - 1, dice.randrange(2**64)))
    if column.name in ("seq", "number") or column.primary_key:
        return number
    if isinstance(column.type, BigInteger):
        return dice.choice((0, 1, 2**40, 2**63 - 1))
    if isinstance(column.type, SmallInteger):
        return dice.choice((0, 1, 255))
    if isinstance(column.type, Boolean):
        return dice.random() < 0.5
    assert isinstance(column.type, String)
    return dice.choice(("bloom", "head", "é" * 4))


def test_every_row_comes_back_as_it_was_written(tmp_path: Path, database: Database) -> None:
    engine, dice = open_writer(database.mirror_url(tmp_path)), random.Random(7)
    migrate(engine)
    for name, kind in FACTS.items():
        columns = list(TABLES[name].c)
        rows = [kind._make([cell(column, dice, number) for column in columns]) for number in range(ROWS)]
        with engine.begin() as connection:
            ensure_partitions(connection, 0, ROWS)
            insert_facts(connection, name, rows)
            found = connection.execute(select(TABLES[name])).tuples().all()
        assert sorted(map(tuple, found), key=repr) == sorted(map(tuple, rows), key=repr), name
    engine.dispose()


def test_events_lie_in_the_partition_of_their_block(tmp_path: Path, database: Database) -> None:
    engine, dice = open_writer(database.mirror_url(tmp_path)), random.Random(8)
    migrate(engine)
    numbers = [0, SPAN_BLOCKS - 1, SPAN_BLOCKS, 3 * SPAN_BLOCKS]
    with engine.begin() as connection:
        for number in numbers:
            ensure_partitions(connection, number, number)
            ensure_partitions(connection, number, number)
            cells = {column.name: cell(column, dice, number) for column in TABLES["events"].c} | {
                "block_number": number
            }
            insert_facts(connection, "events", [FACTS["events"](**cells)])
        found = connection.execute(select(TABLES["events"].c.block_number)).scalars().all()
        assert sorted(found) == numbers
        if database.name == "postgresql":
            assert partitions_in(connection, "public") == ["events_0", "events_1", "events_3"]
            assert connection.exec_driver_sql("SELECT count(*) FROM events_0").scalar_one() == 2
    engine.dispose()

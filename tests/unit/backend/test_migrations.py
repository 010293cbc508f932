"""The migrations lead to the tables that the code has, and each can be undone, on each database of a market."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text
from sqlmodel import SQLModel, select

import backend
from backend.db import Database as MarketDatabase
from backend.matching.tables import AuctionRow
from tests.support.databases import Database


@pytest.fixture
def market(tmp_path: Path, database: Database) -> Iterator[MarketDatabase]:
    found = MarketDatabase(database.mirror_url(tmp_path))
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def config(market: MarketDatabase) -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(backend.__file__).parent / "migrations"))
    made.attributes["engine"] = market.engine
    return made


def test_they_lead_to_the_tables_of_the_code(market: MarketDatabase) -> None:
    with market.engine.connect() as connection:
        there = set(inspect(connection).get_table_names()) - {"alembic_version"}
        wanted = MetaData()
        for name in there:
            SQLModel.metadata.tables[name].to_metadata(wanted)
        # SQLite's columns hold numbers of any size and texts of any length.
        has_types = connection.dialect.name != "sqlite"
        context = MigrationContext.configure(connection, opts={"compare_type": has_types})
        assert compare_metadata(context, wanted) == []


def test_each_can_be_undone_and_done_again(market: MarketDatabase, config: Config) -> None:
    first_to_last = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    before = _schema(market)
    for _ in first_to_last:
        command.downgrade(config, "-1")
    assert set(inspect(market.engine).get_table_names()) == {"alembic_version"}
    for revision in first_to_last:
        command.upgrade(config, revision)
    assert _schema(market) == before


def test_the_books_of_auctions_are_kept_when_they_are_packed(market: MarketDatabase, config: Config) -> None:
    books = {"0xlong": "a line\n" * 1000, "0xpruned": ""}
    command.downgrade(config, "0011")
    with market.engine.begin() as connection:
        for root, book in books.items():
            added = "INSERT INTO auctions (root, snapshot, pairings, held_time, leaving) VALUES (:r, :s, 1, 1, '')"
            connection.execute(text(added), {"r": root, "s": book})
    command.upgrade(config, "0012")
    with market.read() as session:
        rows = session.exec(select(AuctionRow)).all()
        assert {row.root: row.snapshot for row in rows} == books
        assert max(len(row.packed) for row in rows) < 1000
    command.downgrade(config, "0011")
    with market.engine.connect() as connection:
        found = connection.execute(text("SELECT root, snapshot FROM auctions"))
        assert {row.root: row.snapshot for row in found} == books


def _schema(market: MarketDatabase) -> dict[str, list[str]]:
    """Columns, indexes and key of each table, as text."""
    found = inspect(market.engine)
    schema = {}
    for name in found.get_table_names():
        indexes = [
            # What it is limited to is an object without a text of its own.
            {**index, "dialect_options": {key: str(value) for key, value in index.get("dialect_options", {}).items()}}
            for index in found.get_indexes(name)
        ]
        schema[name] = sorted(map(str, [*found.get_columns(name), *indexes, found.get_pk_constraint(name)]))
    return schema

"""A market for each test, on one database or on each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accounts_market import MarketWorld, market_world
from tests.support.databases import Database


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MarketWorld]:
    with market_world(tmp_path) as made:
        yield made


@pytest.fixture
def any_world(tmp_path: Path, database: Database) -> Iterator[MarketWorld]:
    """On SQLite and on PostgreSQL."""
    with market_world(tmp_path, database) as made:
        yield made

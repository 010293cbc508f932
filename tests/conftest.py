"""What tests of several rooms share: the databases."""

import sys
from collections.abc import Iterator

import pytest
import structlog

from tests.support.databases import SQLITE, Database
from tests.support.postgres import Postgres, running_postgres

# As the commands set it: a test that reads what a command printed must not find what a server beside it logged.
structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Nothing here outlives the run.
    with running_postgres("fsync=off", "full_page_writes=off") as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each database in turn; a test that takes it is marked `database`."""
    if request.param == "sqlite":
        return SQLITE
    server: Postgres = request.getfixturevalue("postgres")
    return Database("postgresql", lambda _: server.new_database())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)

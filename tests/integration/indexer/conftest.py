"""A node with a ledger and a little history, and a mirror that follows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.anvil import Anvil, running_anvil
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import Leased, LedgerWorld


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    with running_anvil() as started:
        yield started


@pytest.fixture(scope="module")
def world(node: Anvil) -> LedgerWorld:
    return LedgerWorld.deploy(node)


@pytest.fixture(scope="module")
def leased(world: LedgerWorld) -> list[Leased]:
    return world.story()


@pytest.fixture
def followed(tmp_path: Path, world: LedgerWorld, leased: list[Leased], database: Database) -> Iterator[Followed]:
    mirror = Followed(tmp_path, world.deployment, world.rpc, database)
    mirror.catch_up()
    yield mirror
    mirror.close()

"""Sixty kills at random points lose and double nothing (`tests.faults.kills`)."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.kills import Kills
from tests.support.anvil import running_anvil
from tests.support.databases import Database
from tests.support.ledger_world import LedgerWorld

pytestmark = pytest.mark.node

KILLS = 60


@pytest.fixture
def kills(tmp_path: Path, database: Database) -> Iterator[Kills]:
    with running_anvil() as node:
        made = Kills(tmp_path, LedgerWorld.deploy(node), database)
        yield made
        made.close()


def test_sixty_kills_lose_and_double_nothing(kills: Kills) -> None:
    dice = Random(9)
    for _ in range(KILLS):
        kills.run(dice)
    kills.settle()

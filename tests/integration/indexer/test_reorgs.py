"""After a reorg of any depth down to finality the mirror is the chain again in three blocks (`tests.faults.reorgs`)."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from indexer.rebuild import rebuild_mirror
from tests.faults.reorgs import Reorgs
from tests.support.anvil import running_anvil
from tests.support.databases import Database
from tests.support.followed import canonical
from tests.support.ledger_world import LedgerWorld

pytestmark = pytest.mark.node


@pytest.fixture
def reorgs(tmp_path: Path, database: Database) -> Iterator[Reorgs]:
    with running_anvil() as node:
        made = Reorgs(tmp_path, LedgerWorld.deploy(node), database)
        yield made
        made.close()


def test_reorgs_of_every_size_leave_the_mirror_equal_to_the_chain_and_to_its_own_rebuild(reorgs: Reorgs) -> None:
    dice = Random(1)
    for depth in (1, 2, 3, 5, 12, 32, 64):
        reorgs.run(depth, dice)
        reorgs.verify()
    followed = reorgs.followed
    live = canonical(followed.rows())
    rebuild_mirror(followed.settings, followed.deployment, followed.rpc, lambda _: None)
    assert canonical(followed.rows()) == live
    reorgs.verify()

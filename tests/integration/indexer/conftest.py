"""A node with a ledger and a little history, and a mirror that follows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.commit import CursorRow
from indexer.follower import Follower
from indexer.queries import Mirror
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_writer
from indexer.verify import Report, verify_mirror
from protocol.deployment import Deployment
from protocol.rpc import Rpc
from tests.support.anvil import Anvil, running_anvil
from tests.support.ledger_world import Leased, LedgerWorld


class Followed:
    """A mirror of its own, stepped by the test instead of by the clock."""

    def __init__(self, folder: Path, deployment: Deployment, rpc: Rpc, **changes: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "mirror.db"
        self.deployment, self.rpc = deployment, rpc
        self.settings = IndexerSettings(
            rpc_url=rpc.url,
            deployment=folder / "31337.json",
            mirror_url=f"sqlite:///{self.path}",
            **changes,  # type: ignore[arg-type]
        )
        deployment.save(self.settings.deployment)
        self.engine = open_writer(self.settings.mirror_url)
        source = Source(rpc, Contracts.of(deployment), self.settings.finality_blocks)
        self.follower = Follower(self.settings, deployment, source, self.engine)
        self.follower.prepare()
        self.mirror = Mirror(self.settings.mirror_url)

    def catch_up(self) -> CursorRow:
        return self.follower.catch_up()

    def verify(self) -> Report:
        return verify_mirror(self.settings.mirror_url, self.rpc, self.deployment)

    def close(self) -> None:
        self.mirror.close()
        self.engine.dispose()


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
def followed(tmp_path: Path, world: LedgerWorld, leased: list[Leased]) -> Iterator[Followed]:
    mirror = Followed(tmp_path, world.deployment, world.rpc)
    mirror.catch_up()
    yield mirror
    mirror.close()

"""A mirror of a test's own, stepped by the test instead of by the clock."""

from pathlib import Path

from indexer.commit import CursorRow
from indexer.follower import Follower
from indexer.queries import Mirror
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_writer
from indexer.verify import Report, verify_mirror
from protocol.deployment import Deployment
from protocol.rpc import Rpc


class Followed:
    """The database below `folder`, and what writes, reads and verifies it."""

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

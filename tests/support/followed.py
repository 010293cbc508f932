"""A mirror of a test's own, stepped by the test instead of by the clock."""

from pathlib import Path
from typing import Any

from sqlalchemy import select

from indexer.commit import CursorRow
from indexer.follower import Follower
from indexer.queries import Mirror
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_writer
from indexer.tables import TABLES
from indexer.verify import Report, verify_mirror
from protocol.deployment import Deployment
from protocol.rpc import Rpc
from tests.support.databases import SQLITE, Database


class Followed:
    """The database below `folder`, and what writes, reads and verifies it."""

    def __init__(
        self, folder: Path, deployment: Deployment, rpc: Rpc, database: Database = SQLITE, **changes: object
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database = database
        self.deployment, self.rpc = deployment, rpc
        self.settings = IndexerSettings(
            rpc_url=rpc.url,
            deployment=folder / "31337.json",
            mirror_url=database.mirror_url(folder),
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

    def alter(self, statement: str) -> None:
        """Changes one row behind the mirror's back; {zero32} and the like are bytes (`Database.spell`)."""
        with self.engine.begin() as connection:
            assert connection.exec_driver_sql(self.database.spell(statement)).rowcount == 1

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows but those that hold the clock's time."""
        with self.engine.connect() as connection:
            return {
                name: sorted(connection.execute(select(table)).tuples().all(), key=repr)
                for name, table in TABLES.items()
                if name != "audits"
            }

    def close(self) -> None:
        self.mirror.close()
        self.follower.close()


def canonical(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Without orphaned rows, which a rebuild does not bring back, and without what is of one mirror's own life."""
    hashes = {row[0] for row in rows["blocks"] if row[-1]}
    of_block = {"blocks": 0, "bodies": 0, "transactions": 0, "events": 2}
    return {
        name: [row for row in of if name not in of_block or row[of_block[name]] in hashes]
        for name, of in rows.items()
        if name not in ("reorg_journal", "cursor")
    }

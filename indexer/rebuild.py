"""A mirror made anew from the chain, beside the old one, then put in its place in one step.

The swap is SQLite's own backup into the live file: one transaction, so readers see the old mirror or the new one, their
open connections stay valid, and an indexer that runs meanwhile reads its cursor again.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import DatabaseError

from indexer.commit import CursorRow, read_cursor
from indexer.errors import NotOneFile
from indexer.follower import Follower
from indexer.rollback import stored_hash
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_reader, open_writer, sqlite_path
from indexer.tables import TABLES
from protocol.deployment import Deployment
from protocol.errors import MirrorError
from protocol.hashing import from_hex
from protocol.rpc import Rpc


def rebuild_mirror(
    settings: IndexerSettings, deployment: Deployment, rpc: Rpc, progress: Callable[[int], None]
) -> CursorRow:
    """Rebuilds from the deployment's block; `progress` hears each block number. Orphaned rows are not rebuilt.

    The old mirror serves reads until the swap. Raises `NotOneFile` on another database than SQLite.
    """
    path = sqlite_path(settings.mirror_url)
    if path is None:
        raise NotOneFile(settings.mirror_url)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".rebuild")
    _remove(draft)
    url = f"sqlite:///{draft}"
    engine = open_writer(url)
    try:
        source = Source(rpc, Contracts.of(deployment), settings.finality_blocks)
        follower = Follower(settings.with_(mirror_url=url), deployment, source, engine)
        follower.prepare()
        cursor = follower.catch_up(progress)
        _keep_journal(settings.mirror_url, engine, deployment)
    finally:
        engine.dispose()
    _swap(draft, path)
    _remove(draft)
    return cursor


def _keep_journal(old_url: str, engine: Engine, deployment: Deployment) -> None:
    """The reorgs that were seen stay known; the reorg epoch grows where the old history is not part of the new one."""
    try:
        old = open_reader(old_url)
    except MirrorError:
        return
    try:
        with old.connect() as connection:
            chain = connection.execute(select(TABLES["chains"])).mappings().one_or_none()
            same = (from_hex(deployment.genesis_hash, 32), from_hex(deployment.ledger, 20))
            if chain is None or (chain["genesis_hash"], chain["ledger"]) != same:
                return
            cursor = read_cursor(connection)
            journal = [dict(row) for row in connection.execute(select(TABLES["reorg_journal"])).mappings()]
    except (MirrorError, DatabaseError):
        # A mirror that cannot be read is why one rebuilds.
        return
    finally:
        old.dispose()
    with engine.begin() as connection:
        if journal:
            connection.execute(insert(TABLES["reorg_journal"]), journal)
        moved = cursor.number is not None and stored_hash(connection, cursor.number) != cursor.hash
        connection.execute(update(TABLES["cursor"]).values(reorg_epoch=cursor.reorg_epoch + int(moved)))


def _swap(draft: Path, live: Path) -> None:
    source, target = sqlite3.connect(draft), sqlite3.connect(live, timeout=30)
    try:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # A file that is no database at all cannot be written over page by page.
        if not _is_database(target):
            target.close()
            _remove(live)
            target = sqlite3.connect(live, timeout=30)
        source.backup(target)
        target.execute("PRAGMA journal_mode=WAL")
    finally:
        source.close()
        target.close()


def _is_database(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

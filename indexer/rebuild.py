"""A mirror made anew from the chain, beside the old one, then put in its place in one step.

On SQLite the draft is a file, and the swap is SQLite's own backup into the live one: one transaction, so readers see
the old mirror or the new one, their open connections stay valid, and an indexer that runs meanwhile reads its cursor
again.
On PostgreSQL the draft is a schema, and the swap moves its tables into the live one in one transaction.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, insert, make_url, select, text, update
from sqlalchemy.exc import DatabaseError

from indexer.commit import CursorRow, read_cursor
from indexer.follower import Follower
from indexer.partitions import partitions_in
from indexer.rollback import stored_hashes
from indexer.settings import IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_reader, open_writer, sqlite_path
from indexer.tables import TABLES
from protocol.deployment import Deployment
from protocol.errors import MirrorError
from protocol.hashing import from_hex
from protocol.rpc import Rpc

_DRAFT: Final = "gridlease_rebuild"


def rebuild_mirror(
    settings: IndexerSettings, deployment: Deployment, rpc: Rpc, progress: Callable[[int], None]
) -> CursorRow:
    """Rebuilds from the deployment's block; `progress` hears each block number. Orphaned rows are not rebuilt.

    The old mirror serves reads until the swap.
    """
    with _draft(settings.mirror_url) as url:
        engine = open_writer(url)
        try:
            source = Source(rpc, Contracts.of(deployment), settings.finality_blocks)
            follower = Follower(settings.with_(mirror_url=url), deployment, source, engine)
            follower.prepare()
            cursor = follower.catch_up(progress)
            _keep_journal(settings.mirror_url, engine, deployment)
        finally:
            engine.dispose()
    return cursor


@contextmanager
def _draft(live_url: str) -> Iterator[str]:
    """The URL of an empty database beside the live one, which takes its place if all goes well."""
    path = sqlite_path(live_url)
    if path is None:
        with _schema_draft(live_url) as url:
            yield url
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".rebuild")
    _remove(draft)
    try:
        yield f"sqlite:///{draft}"
        _swap_files(draft, path)
    finally:
        _remove(draft)


@contextmanager
def _schema_draft(live_url: str) -> Iterator[str]:
    engine = open_writer(live_url)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {_DRAFT} CASCADE"))
            connection.execute(text(f"CREATE SCHEMA {_DRAFT}"))
        options = {"options": f"-csearch_path={_DRAFT}"}
        yield make_url(live_url).update_query_dict(options).render_as_string(hide_password=False)
        with engine.begin() as connection:
            live = connection.execute(text("SELECT current_schema()")).scalar_one()
            partitions = partitions_in(connection, _DRAFT)
            for name in (*TABLES, "alembic_version"):
                connection.execute(text(f'DROP TABLE IF EXISTS "{live}".{name}'))
                connection.execute(text(f'ALTER TABLE {_DRAFT}.{name} SET SCHEMA "{live}"'))
            for name in partitions:
                connection.execute(text(f'ALTER TABLE {_DRAFT}.{name} SET SCHEMA "{live}"'))
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {_DRAFT} CASCADE"))
        engine.dispose()


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
        moved = cursor.number is not None and stored_hashes(connection, [cursor.number]) != [cursor.hash]
        connection.execute(update(TABLES["cursor"]).values(reorg_epoch=cursor.reorg_epoch + int(moved)))


def _swap_files(draft: Path, live: Path) -> None:
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

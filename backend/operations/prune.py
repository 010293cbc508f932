"""Retention: what nobody may need any more goes, in small transactions, so that requests never wait for it.

What is kept for ever: jobs, leases, receipts, vouchers, transactions, and of each auction its number and root.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.accounts.tables import SessionRow, SignInNonce
from backend.db import Database
from backend.events.tables import JobEventRow
from backend.files import uploads
from backend.jobs.tables import IdempotencyRow, JobLogRow, JobRow
from backend.market import Market
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.operations import metrics
from backend.webhooks.tables import WebhookAttemptRow, WebhookMessageRow
from protocol.clock import now_time

log = structlog.get_logger()

_BATCH: Final = 500
_DAY_SECONDS: Final = 86_400


@dataclass(slots=True, kw_only=True)
class Pruned:
    """How many rows went, or were emptied."""

    nonces: int = 0
    sessions: int = 0
    idempotency_keys: int = 0
    auction_snapshots: int = 0
    job_logs: int = 0
    job_events: int = 0
    webhook_messages: int = 0
    uploads: int = 0


def run(market: Market) -> Pruned:
    """Removes what is older than the settings keep it."""
    settings, db, now = market.operations, market.db, now_time()
    dead = now - settings.session_days * _DAY_SECONDS
    pruned = Pruned(
        nonces=_delete(db, SignInNonce.nonce, col(SignInNonce.expires_time) < dead),
        sessions=_delete(db, SessionRow.token_hash, col(SessionRow.expires_time) < dead),
        idempotency_keys=_delete(
            db, IdempotencyRow.id, col(IdempotencyRow.created_time) < now - settings.idempotency_days * _DAY_SECONDS
        ),
        auction_snapshots=_empty_snapshots(db, now - settings.auction_days * _DAY_SECONDS),
        job_events=_delete(db, JobEventRow.id, _settled((now - settings.job_event_days * _DAY_SECONDS) * 1000)),
        webhook_messages=_delete_messages(db, (now - settings.webhook_days * _DAY_SECONDS) * 1000),
        uploads=uploads.prune(market),
    )
    if settings.job_log_days:
        pruned.job_logs = _delete_logs(db, (now - settings.job_log_days * _DAY_SECONDS) * 1000)
    counts = asdict(pruned)
    for kind, count in counts.items():
        metrics.PRUNED.labels(kind=kind).inc(count)
    if any(counts.values()):
        log.info("market.pruned", **counts)
    return pruned


def _delete(db: Database, key: Any, is_old: ColumnElement[bool]) -> int:
    table: type[SQLModel] = key.class_
    return _in_batches(
        db,
        select(key).where(is_old),
        lambda session, keys: session.connection().execute(delete(table).where(col(key).in_(keys))),
    )


def _empty_snapshots(db: Database, before_time: int) -> int:
    """The root stays: it is on chain, and whoever has the book can still show that it is the one."""
    old = select(AuctionRow.id).where(col(AuctionRow.held_time) < before_time, col(AuctionRow.packed) != b"")

    def empty(session: Any, ids: Sequence[Any]) -> None:
        session.connection().execute(update(AuctionRow).values(packed=b"").where(col(AuctionRow.id).in_(ids)))
        # What nobody can read has told nobody.
        untold = update(BookEntryRow).values(left_in=None)
        session.connection().execute(untold.where(col(BookEntryRow.left_in).in_(ids)))

    return _in_batches(db, old, empty)


def _settled(before_ms: int) -> ColumnElement[bool]:
    """Events of jobs whose money came to rest so long ago, but of those in the newest block that was told of.

    By that block a mirror that is built anew shows how much was told already (`backend.events.chain`).
    """
    settled = select(JobRow.id).where(col(JobRow.settled_ms) < before_ms)
    newest = select(func.max(JobEventRow.block_number)).where(col(JobEventRow.retracted).is_(False)).scalar_subquery()
    kept = select(JobEventRow.job_id).where(col(JobEventRow.block_number) == newest)
    return col(JobEventRow.job_id).in_(settled) & col(JobEventRow.job_id).not_in(kept)


def _delete_messages(db: Database, before_ms: int) -> int:
    """With their attempts; never one that is still to be sent."""

    def remove(session: Any, ids: Sequence[Any]) -> None:
        session.connection().execute(delete(WebhookAttemptRow).where(col(WebhookAttemptRow.message_id).in_(ids)))
        session.connection().execute(delete(WebhookMessageRow).where(col(WebhookMessageRow.id).in_(ids)))

    done = col(WebhookMessageRow.state).in_(("delivered", "failed"))
    return _in_batches(db, select(WebhookMessageRow.id).where(done, col(WebhookMessageRow.done_ms) < before_ms), remove)


def _delete_logs(db: Database, before_ms: int) -> int:
    """Of jobs that ended so long ago."""
    old = (
        select(JobLogRow.job_id)
        .join(JobRow, col(JobRow.id) == col(JobLogRow.job_id))
        .where(col(JobRow.ended_ms) < before_ms)
        .distinct()
    )
    removed = 0

    def remove(session: Any, ids: Sequence[Any]) -> None:
        nonlocal removed
        removed += session.connection().execute(delete(JobLogRow).where(col(JobLogRow.job_id).in_(ids))).rowcount

    _in_batches(db, old, remove)
    return removed


def _in_batches(db: Database, keys: "SelectOfScalar[Any]", act: Any) -> int:
    """Each batch is a transaction of its own; returns how many keys there were."""
    total = 0
    while True:
        with db.write() as session:
            found = list(session.exec(keys.limit(_BATCH)))
            if not found:
                return total
            act(session, found)
            total += len(found)

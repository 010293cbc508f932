"""Alembic's entry: migrations of the market's database, run by `Database.migrate`."""

from alembic import context
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlmodel import SQLModel

from backend.accounts import tables as _accounts  # noqa: F401 - registers its tables
from backend.events import tables as _events  # noqa: F401
from backend.files import tables as _files  # noqa: F401
from backend.jobs import tables as _jobs  # noqa: F401
from backend.leases import tables as _leases  # noqa: F401
from backend.lock import in_turn
from backend.matching import tables as _matching  # noqa: F401
from backend.offers import tables as _offers  # noqa: F401
from backend.operations import tables as _operations  # noqa: F401
from backend.submission import tables as _submission  # noqa: F401
from backend.webhooks import tables as _webhooks  # noqa: F401


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # To rewrite a large table may take longer than any statement of a request may.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    context.configure(connection=connection, target_metadata=_metadata(), render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def _metadata() -> MetaData:
    """Only the market's tables: the mirror's live in another database with migrations of their own."""
    own = MetaData()
    for table in SQLModel.metadata.tables.values():
        if table.name in _OWN:
            table.to_metadata(own)
    return own


_OWN = {
    "sign_in_nonces",
    "sessions",
    "api_keys",
    "files",
    "uploads",
    "file_uses",
    "offers",
    "providers",
    "jobs",
    "job_logs",
    "idempotency_keys",
    "passed_over",
    "job_events",
    "chain_read",
    "webhooks",
    "webhook_messages",
    "webhook_attempts",
    "lease_intentions",
    "usage_receipts",
    "usage_commitments",
    "segment_checks",
    "job_notes",
    "intents",
    "transactions",
    "attempts",
    "book_entries",
    "book_counter",
    "auctions",
    "ticks",
    "pulses",
    "late_spells",
}

_engine = context.config.attributes.get("engine") or create_engine(
    context.config.get_main_option("sqlalchemy.url") or ""
)
# Processes that start at once must not make the same table.
with in_turn(_engine, "migration"), _engine.connect() as _connection:
    _migrate(_connection)
    _connection.commit()

"""One table for a log and its event, parties by sequence number, and where a reorg's history forks.

The rows are laid out anew, and all of them are in the chain: the mirror is emptied and followed anew. Reorgs stay known;
of those seen before, the number of events at the fork is not, so it is 0: whoever resumes from before starts anew.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FOLLOWED = (
    "blocks",
    "bodies",
    "transactions",
    "leases",
    "lease_versions",
    "claim_versions",
    "account_versions",
    "delegate_versions",
    "cancelled",
    "payments",
    "disputes",
    "audits",
)


def upgrade() -> None:
    op.drop_table("parties")
    op.drop_table("events")
    op.drop_table("logs")
    op.create_table(
        "events",
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tx_index", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=True),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("canonical", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("block_number", "log_index", "block_hash", name=op.f("pk_events")),
    )
    canonical = sa.text("canonical")
    op.create_index(
        "uq_events_canonical_seq",
        "events",
        ["seq"],
        unique=True,
        sqlite_where=canonical,
        postgresql_where=canonical,
    )
    op.create_index(op.f("ix_events_kind"), "events", ["kind"])
    op.create_index(op.f("ix_events_lease"), "events", ["lease"])
    op.create_table(
        "parties",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "account", name=op.f("pk_parties")),
    )
    op.create_index("ix_parties_account", "parties", ["account", "seq"])
    op.drop_index("uq_lease_versions_current", "lease_versions")
    _empty()
    with op.batch_alter_table("reorg_journal") as batch:
        batch.add_column(sa.Column("ancestor_seq", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("reorg_journal") as batch:
        batch.alter_column("ancestor_seq", server_default=None)


def _empty() -> None:
    for name in _FOLLOWED:
        op.execute(sa.delete(sa.table(name)))
    # Whoever remembers the reorg epoch must see that the history was told again.
    op.execute(
        "UPDATE cursor SET number = NULL, hash = NULL, proved_number = NULL, finalized_number = 0, halted = NULL, "
        "reorg_epoch = reorg_epoch + 1"
    )


def downgrade() -> None:
    with op.batch_alter_table("reorg_journal") as batch:
        batch.drop_column("ancestor_seq")
    op.drop_table("parties")
    op.drop_table("events")
    op.create_table(
        "logs",
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("tx_index", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block_hash", "log_index", name=op.f("pk_logs")),
    )
    op.create_index(op.f("ix_logs_block_number"), "logs", ["block_number"])
    op.create_table(
        "events",
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=True),
        sa.Column("args", sa.JSON(), nullable=False),
        sa.Column("canonical", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("block_hash", "log_index", name=op.f("pk_events")),
    )
    canonical, now = sa.text("canonical"), sa.text("valid_to IS NULL")
    op.create_index(op.f("ix_events_kind"), "events", ["kind"])
    op.create_index(op.f("ix_events_lease"), "events", ["lease"])
    op.create_index("ix_events_place", "events", ["block_number", "log_index"])
    op.create_index(
        "uq_events_canonical_seq", "events", ["seq"], unique=True, sqlite_where=canonical, postgresql_where=canonical
    )
    op.create_table(
        "parties",
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "block_number", "log_index", "block_hash", name=op.f("pk_parties")),
    )
    _empty()
    op.create_index(
        "uq_lease_versions_current", "lease_versions", ["lease"], unique=True, sqlite_where=now, postgresql_where=now
    )

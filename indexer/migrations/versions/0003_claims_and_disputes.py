"""Claims, disputes and the beneficiary's address.

No row of before holds them, and each is in the chain: the mirror is emptied and followed anew. Reorgs stay known.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from indexer import tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FOLLOWED = (
    "blocks",
    "bodies",
    "transactions",
    "logs",
    "events",
    "parties",
    "leases",
    "lease_versions",
    "account_versions",
    "delegate_versions",
    "cancelled",
    "payments",
    "audits",
)


def upgrade() -> None:
    op.create_table(
        "claim_versions",
        sa.Column("lease", sa.LargeBinary(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.Column("start", sa.LargeBinary(), nullable=False),
        sa.Column("work", tables.Unsigned64(length=20), nullable=False),
        sa.Column("target_base", sa.BigInteger(), nullable=False),
        sa.Column("reveal_time", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("lease", "valid_from", name=op.f("pk_claim_versions")),
    )
    now = sa.text("valid_to IS NULL")
    op.create_index(
        "uq_claim_versions_current", "claim_versions", ["lease"], unique=True, sqlite_where=now, postgresql_where=now
    )
    op.create_table(
        "disputes",
        sa.Column("lease", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=False),
        sa.Column("challenger", sa.LargeBinary(), nullable=False),
        sa.Column("bond_base", sa.BigInteger(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("lease", name=op.f("pk_disputes")),
    )
    op.create_index(op.f("ix_disputes_block_number"), "disputes", ["block_number"])
    op.create_index(op.f("ix_disputes_challenger"), "disputes", ["challenger"])
    _empty()
    with op.batch_alter_table("account_versions") as batch:
        batch.add_column(sa.Column("beneficiary", sa.LargeBinary(), nullable=False))


def _empty() -> None:
    for name in _FOLLOWED:
        op.execute(sa.delete(sa.table(name)))
    # Whoever remembers the reorg epoch must see that the history was told again.
    op.execute(
        "UPDATE cursor SET number = NULL, hash = NULL, proved_number = NULL, finalized_number = 0, halted = NULL, "
        "reorg_epoch = reorg_epoch + 1"
    )


def downgrade() -> None:
    with op.batch_alter_table("account_versions") as batch:
        batch.drop_column("beneficiary")
    op.drop_table("disputes")
    op.drop_table("claim_versions")

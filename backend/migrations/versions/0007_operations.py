"""The clockwork of the market, and the request that each job came with"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WIDE = (
    ("files", "size"),
    ("offers", "expiry_time"),
    ("book_entries", "expiry_time"),
    ("jobs", "work"),
    ("jobs", "cost_base"),
    ("jobs", "created_ms"),
    ("jobs", "ended_ms"),
    ("lease_intentions", "rate"),
    ("lease_intentions", "base_work"),
    ("usage_receipts", "job_work"),
    ("usage_receipts", "lease_work"),
    ("usage_receipts", "cumulative_base"),
)
"""What PostgreSQL's 32 bits cannot hold. SQLite's integers have 64 anyhow."""


def upgrade() -> None:
    op.create_table(
        "ticks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("rung_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("done_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("took_ms", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "pulses",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request_id", sa.String(length=64), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _WIDE:
            op.alter_column(table, column, type_=sa.BigInteger())


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("request_id")
    op.drop_table("pulses")
    op.drop_table("ticks")

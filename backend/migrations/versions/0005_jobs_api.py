"""What buyers' programs live with: events of jobs, webhooks, and who is passed over for an attestation"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "passed_over",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("provider", sa.String(length=42), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "provider"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("settled_ms", sa.BigInteger(), nullable=True))
        # What ended before this was known is looked at once.
        batch_op.add_column(sa.Column("settle_due", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column("event_count", sa.Integer(), nullable=False, server_default="0"))
        batch_op.drop_index(batch_op.f("ix_jobs_buyer"))
        batch_op.create_index("ix_jobs_buyer_id", ["buyer", "id"], unique=False)
        batch_op.create_index("ix_jobs_buyer_state_id", ["buyer", "state", "id"], unique=False)
        batch_op.create_index(
            "ix_jobs_settle_due",
            ["id"],
            unique=False,
            sqlite_where=sa.text("settle_due"),
            postgresql_where=sa.text("settle_due"),
        )

    op.create_table(
        "job_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("data", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.Integer(), nullable=True),
        sa.Column("block_hash", sa.String(length=66), nullable=True),
        sa.Column("retracted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "sequence"),
    )
    with op.batch_alter_table("job_events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_job_events_on_chain",
            ["block_number"],
            unique=False,
            sqlite_where=sa.text("block_number IS NOT NULL"),
            postgresql_where=sa.text("block_number IS NOT NULL"),
        )

    read = op.create_table(
        "chain_read",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reorg_epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(read, [{"id": 1, "reorg_epoch": 0, "seq": 0}])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=42), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("types", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("overlap_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("failing_ms", sa.BigInteger(), nullable=True),
        sa.Column("disabled_ms", sa.BigInteger(), nullable=True),
        sa.Column("disabled_why", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("webhooks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhooks_owner"), ["owner"], unique=False)

    op.create_table(
        "webhook_messages",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("webhook_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("webhook_messages", schema=None) as batch_op:
        batch_op.create_index("ix_webhook_messages_of", ["webhook_id", "id"], unique=False)
        batch_op.create_index(
            "ix_webhook_messages_due",
            ["due_ms"],
            unique=False,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )

    op.create_table(
        "webhook_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=40), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("fact", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("webhook_attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_attempts_message_id"), ["message_id"], unique=False)


def downgrade() -> None:
    for table in ("webhook_attempts", "webhook_messages", "webhooks", "chain_read", "job_events"):
        op.drop_table(table)
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        for index in ("ix_jobs_settle_due", "ix_jobs_buyer_state_id", "ix_jobs_buyer_id"):
            batch_op.drop_index(index)
        batch_op.create_index(batch_op.f("ix_jobs_buyer"), ["buyer"], unique=False)
        for column in ("event_count", "settle_due", "settled_ms"):
            batch_op.drop_column(column)
    op.drop_table("passed_over")

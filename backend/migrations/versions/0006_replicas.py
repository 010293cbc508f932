"""Replicas: lanes, commitments, verdicts, checks and what is said of them"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_commitments",
        sa.Column("lease", sa.String(length=66), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("commitment", sa.String(length=66), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("committed_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("lease", "sequence"),
    )
    op.create_table(
        "segment_checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_time", sa.Integer(), nullable=False),
        sa.Column("found", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("segment_checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_segment_checks_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_segment_checks_state"), ["state"], unique=False)
    op.create_table(
        "job_notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("noted_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("job_notes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_notes_job_id"), ["job_id"], unique=False)

    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wants_lease", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("closed_lanes", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("quorum", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("check_rate_bps", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index(batch_op.f("ix_jobs_wants_lease"), ["wants_lease"], unique=False)
    # Which fill is next follows from the leases.
    op.execute(sa.text("UPDATE jobs SET wants_lease = true WHERE state = 'queued'"))
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("next_fill")

    with op.batch_alter_table("lease_intentions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("zone", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("progress_time", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("ended_time", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("caught", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_index(batch_op.f("ix_lease_intentions_settled"), ["settled"])
    op.execute(sa.text("UPDATE lease_intentions SET progress_time = proposed_time"))
    op.execute(sa.text("UPDATE lease_intentions SET ended_time = proposed_time WHERE state = 'ended'"))

    with op.batch_alter_table("usage_receipts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lane", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("verdict", sa.String(length=8), nullable=False, server_default="paid"))
        batch_op.add_column(sa.Column("result_info", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("log_text", sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("received_time", sa.Integer(), nullable=False, server_default="0"))
        batch_op.alter_column("voucher_message", existing_type=sa.String(), nullable=True)
        batch_op.alter_column("voucher_signature", existing_type=sa.String(length=132), nullable=True)
    op.execute(sa.text("UPDATE usage_receipts SET received_time = signed_time"))


def downgrade() -> None:
    with op.batch_alter_table("usage_receipts", schema=None) as batch_op:
        for name in ("received_time", "log_text", "result_info", "verdict", "lane"):
            batch_op.drop_column(name)
        batch_op.alter_column("voucher_signature", existing_type=sa.String(length=132), nullable=False)
        batch_op.alter_column("voucher_message", existing_type=sa.String(), nullable=False)
    with op.batch_alter_table("lease_intentions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_lease_intentions_settled"))
        for name in ("settled", "caught", "ended_time", "progress_time", "zone"):
            batch_op.drop_column(name)
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("next_fill", sa.Integer(), nullable=False, server_default="0"))
        batch_op.drop_index(batch_op.f("ix_jobs_wants_lease"))
        for name in ("check_rate_bps", "quorum", "closed_lanes", "wants_lease"):
            batch_op.drop_column(name)
    op.drop_table("job_notes")
    op.drop_table("segment_checks")
    op.drop_table("usage_commitments")

"""Three indexes that no query asks, and that every job is written to"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UNASKED = (
    ("ix_jobs_job_hash", "jobs", "job_hash"),
    ("ix_jobs_key_id", "jobs", "key_id"),
    ("ix_book_entries_expiry_time", "book_entries", "expiry_time"),
)


def upgrade() -> None:
    for name, table, _ in _UNASKED:
        op.drop_index(name, table_name=table)


def downgrade() -> None:
    for name, table, column in _UNASKED:
        op.create_index(name, table, [column])

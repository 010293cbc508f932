"""Usage receipts are a provider's: a reorg can give their lease to another one"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NAMES = {"pk": "%(table_name)s_pkey"}
"""PostgreSQL's name for a key, which SQLite's has not."""


def upgrade() -> None:
    with op.batch_alter_table("usage_receipts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("provider", sa.String(length=42), nullable=False, server_default=""))
    op.execute(
        sa.text(
            "UPDATE usage_receipts SET provider = "
            "COALESCE((SELECT provider FROM lease_intentions WHERE lease_intentions.lease = usage_receipts.lease), '')"
        )
    )
    _key_by("lease", "provider", "sequence")
    # Opens are done when they are final.
    op.execute(
        sa.text(
            "UPDATE intents SET state = 'assigned' WHERE kind = 'open' AND state = 'done' "
            "AND transaction_id IN (SELECT id FROM transactions WHERE watched) "
            "AND NOT EXISTS (SELECT 1 FROM intents other WHERE other.kind = 'open' AND other.subject = intents.subject "
            "AND other.state IN ('pending', 'assigned'))"
        )
    )


def downgrade() -> None:
    """Of a lease that was two providers', the segments that count no more are lost."""
    op.execute(sa.text("UPDATE intents SET state = 'dropped' WHERE state = 'skipped'"))
    op.execute(
        sa.text(
            "DELETE FROM usage_receipts WHERE provider <> "
            "COALESCE((SELECT provider FROM lease_intentions WHERE lease_intentions.lease = usage_receipts.lease), '')"
        )
    )
    _key_by("lease", "sequence")
    with op.batch_alter_table("usage_receipts", schema=None) as batch_op:
        batch_op.drop_column("provider")


def _key_by(*columns: str) -> None:
    with op.batch_alter_table("usage_receipts", schema=None, naming_convention=_NAMES) as batch_op:
        batch_op.drop_constraint("usage_receipts_pkey", type_="primary")
        batch_op.create_primary_key("usage_receipts_pkey", list(columns))

"""Orders that buyers sign themselves: vouchers by a key of the buyer's own, signatures of contract wallets"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite holds any text in any column of text.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("jobs", "key_id", type_=sa.String(length=42))
        op.alter_column("jobs", "order_signature", type_=sa.Text())


def downgrade() -> None:
    """What is longer by now stays, so the columns stay wide."""

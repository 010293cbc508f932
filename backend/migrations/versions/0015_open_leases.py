"""A provider's open business is found without its history"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_OPEN = "state <> 'ended' OR (last_signed_time IS NOT NULL AND countersignature IS NULL AND NOT settled)"


def upgrade() -> None:
    op.create_index(
        "ix_lease_intentions_open",
        "lease_intentions",
        ["provider"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )


def downgrade() -> None:
    op.drop_index("ix_lease_intentions_open", table_name="lease_intentions")

"""Bonds, the flags of a lease's end, and beneficiaries.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED = {
    "leases": (("bond_base", sa.BigInteger()),),
    "lease_versions": (("early", sa.Boolean()), ("responded", sa.Boolean()), ("penalty_base", sa.BigInteger())),
    "account_versions": (("guarded", sa.Boolean()),),
}


def upgrade() -> None:
    # The rows before are of a ledger without these; the mirror of another ledger is another mirror.
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, kind in columns:
                empty = sa.false() if isinstance(kind, sa.Boolean) else sa.text("0")
                batch.add_column(sa.Column(name, kind, nullable=False, server_default=empty))


def downgrade() -> None:
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name, _ in columns:
                batch.drop_column(name)

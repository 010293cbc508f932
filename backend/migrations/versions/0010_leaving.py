"""A book tells of what left for good until one that told is final on chain; a lease knows the auction that gave it"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_HERE, _LEAVING = sa.text("left_in IS NULL"), sa.text("leaving <> ''")


def upgrade() -> None:
    with op.batch_alter_table("book_entries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("left_in", sa.Integer(), nullable=True))
        batch_op.create_index(
            "ix_book_entries_here", ["sequence"], unique=False, sqlite_where=_HERE, postgresql_where=_HERE
        )
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("leaving", sa.String(), nullable=False, server_default=""))
        batch_op.create_index(
            "ix_auctions_leaving", ["id"], unique=False, sqlite_where=_LEAVING, postgresql_where=_LEAVING
        )
    with op.batch_alter_table("lease_intentions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("auction", sa.Integer(), nullable=True))
        batch_op.create_index("ix_lease_intentions_auction", ["auction"], unique=False)


def downgrade() -> None:
    """Books tell of all again."""
    with op.batch_alter_table("lease_intentions", schema=None) as batch_op:
        batch_op.drop_index("ix_lease_intentions_auction")
        batch_op.drop_column("auction")
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.drop_index("ix_auctions_leaving")
        batch_op.drop_column("leaving")
    with op.batch_alter_table("book_entries", schema=None) as batch_op:
        batch_op.drop_index("ix_book_entries_here")
        batch_op.drop_column("left_in")

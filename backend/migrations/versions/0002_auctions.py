"""Auctions with their books, and the place of each offer and order in the book"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "book_entries",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("received_time", sa.Integer(), nullable=False),
        sa.Column("expiry_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("hash"),
    )
    with op.batch_alter_table("book_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_book_entries_expiry_time"), ["expiry_time"], unique=False)

    counter = op.create_table(
        "book_counter",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("next_sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(counter, [{"id": 1, "next_sequence": 1}])
    op.create_table(
        "auctions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(length=66), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("pairings", sa.Integer(), nullable=False),
        sa.Column("held_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_auctions_root"), ["root"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_auctions_root"))

    op.drop_table("auctions")
    op.drop_table("book_counter")
    with op.batch_alter_table("book_entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_book_entries_expiry_time"))

    op.drop_table("book_entries")

"""When the market itself was late"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "late_spells",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("from_time", sa.Integer(), nullable=False),
        sa.Column("until_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("late_spells", schema=None) as batch_op:
        batch_op.create_index("ix_late_spells_until_time", ["until_time"], unique=False)


def downgrade() -> None:
    """Nobody is excused."""
    op.drop_table("late_spells")

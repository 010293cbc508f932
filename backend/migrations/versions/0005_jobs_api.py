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


def downgrade() -> None:
    op.drop_table("passed_over")

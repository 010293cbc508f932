"""The books of auctions, packed"""

import zlib
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("packed", sa.LargeBinary(), nullable=False, server_default=sa.text("''")))
    _rewritten("snapshot", "packed", lambda text: zlib.compress(text.encode(), 1) if text else b"")
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.drop_column("snapshot")
        batch_op.alter_column("packed", server_default=None)


def downgrade() -> None:
    """As text again."""
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("snapshot", sa.String(), nullable=False, server_default=sa.text("''")))
    _rewritten("packed", "snapshot", lambda packed: zlib.decompress(packed).decode() if packed else "")
    with op.batch_alter_table("auctions", schema=None) as batch_op:
        batch_op.drop_column("packed")
        batch_op.alter_column("snapshot", server_default=None)


def _rewritten(before: str, after: str, convert: Callable[[Any], Any]) -> None:
    """One at a time: books are large."""
    auctions = sa.table(
        "auctions", sa.column("id"), sa.column("snapshot", sa.String()), sa.column("packed", sa.LargeBinary())
    )
    connection = op.get_bind()
    for number in connection.execute(sa.select(auctions.c.id)).scalars().all():
        mine = auctions.c.id == number
        found = connection.execute(sa.select(auctions.c[before]).where(mine)).scalar_one()
        connection.execute(sa.update(auctions).where(mine).values({after: convert(found)}))

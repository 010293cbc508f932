"""Signed bytes as bytes, apart from what changes, and calldata only in them"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from protocol.calls import calldata_of
from protocol.hashing import from_hex, to_hex

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    signed = op.create_table(
        "signed_bytes",
        sa.Column("attempt_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    attempts = sa.table("attempts", sa.column("id"), sa.column("raw"))

    def move(number: int) -> None:
        raw = op.get_bind().execute(sa.select(attempts.c.raw).where(attempts.c.id == number)).scalar_one()
        op.get_bind().execute(signed.insert().values(attempt_id=number, raw=from_hex(raw)))

    _each(attempts.c.id, move)
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_column("raw")
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.drop_column("data")


def downgrade() -> None:
    """As hex in their rows again; a transaction's oldest attempt makes its call."""
    for table, column in (("transactions", "data"), ("attempts", "raw")):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column(column, sa.String(), nullable=False, server_default=sa.text("''")))
    signed = sa.table("signed_bytes", sa.column("attempt_id"), sa.column("raw", sa.LargeBinary()))
    attempts = sa.table("attempts", sa.column("id"), sa.column("transaction_id"), sa.column("raw"))
    transactions = sa.table("transactions", sa.column("id"), sa.column("data"))

    def move(number: int) -> None:
        connection = op.get_bind()
        raw = connection.execute(sa.select(signed.c.raw).where(signed.c.attempt_id == number)).scalar_one()
        attempt = attempts.c.id == number
        connection.execute(sa.update(attempts).where(attempt).values(raw=to_hex(raw)))
        of = sa.select(attempts.c.transaction_id).where(attempt).scalar_subquery()
        is_first = (transactions.c.id == of) & (transactions.c.data == "")
        connection.execute(sa.update(transactions).where(is_first).values(data=to_hex(calldata_of(raw))))

    _each(attempts.c.id, move)
    for table, column in (("transactions", "data"), ("attempts", "raw")):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.alter_column(column, server_default=None)
    op.drop_table("signed_bytes")


def _each(key: sa.ColumnClause[Any], move: Callable[[int], None]) -> None:
    """Oldest first, and one at a time: they are large."""
    for number in op.get_bind().execute(sa.select(key).order_by(key)).scalars().all():
        move(number)

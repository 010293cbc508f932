"""Transactions with all attempts to have them mined"""

import sqlalchemy as sa
from alembic import op

from protocol.hashing import from_hex, to_hex
from protocol.rlp import decode_list, to_bytes, to_integer

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    attempts = op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("tx_hash", sa.String(length=66), nullable=False),
        sa.Column("raw", sa.String(), nullable=False),
        sa.Column("is_cancel", sa.Boolean(), nullable=False),
        sa.Column("max_fee_wei", sa.BigInteger(), nullable=False),
        sa.Column("priority_fee_wei", sa.BigInteger(), nullable=False),
        sa.Column("signed_time", sa.Integer(), nullable=False),
        sa.Column("signed_block", sa.Integer(), nullable=False),
        sa.Column("broadcast_time", sa.Integer(), nullable=True),
        sa.Column("answer", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tx_hash"),
    )
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempts_transaction_id"), ["transaction_id"], unique=False)

    # FAILED: another transaction had taken the nonce, and the intents were given back.
    op.execute("DELETE FROM transactions WHERE state = 'FAILED'")
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("data", sa.String(), nullable=False, server_default="0x"))
        batch_op.add_column(sa.Column("gas", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("watched", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch_op.add_column(sa.Column("gas_used", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("price_wei", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("fee_gwei_up", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("missing_since_time", sa.Integer(), nullable=True))
        batch_op.alter_column("state", type_=sa.String(length=16), existing_type=sa.String(length=8))
        batch_op.alter_column("tx_hash", nullable=True, existing_type=sa.String(length=66))
    _move_bytes(attempts)
    op.execute(sa.text("UPDATE transactions SET watched = :no WHERE state = 'FINAL'").bindparams(no=False))
    op.execute("UPDATE transactions SET tx_hash = NULL WHERE mined_block IS NULL")
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.drop_column("raw")
        batch_op.drop_column("note")
        batch_op.drop_index("ix_transactions_nonce")
        batch_op.create_index("ix_transactions_nonce", ["sender", "nonce"], unique=True)
        batch_op.create_index(batch_op.f("ix_transactions_watched"), ["watched"], unique=False)
        batch_op.create_index(batch_op.f("ix_transactions_created_time"), ["created_time"], unique=False)


def _move_bytes(attempts: sa.Table) -> None:
    """Each signed transaction becomes the one attempt of its nonce; gas and calldata are read from the bytes."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, tx_hash, raw, created_time FROM transactions")).all()
    for number, tx_hash, raw, created_time in rows:
        # Type 2: chain id, nonce, priority fee, fee, gas, to, value, calldata, …
        fields = decode_list(from_hex(raw)[1:])
        connection.execute(
            attempts.insert().values(
                transaction_id=number,
                tx_hash=tx_hash,
                raw=raw,
                is_cancel=False,
                max_fee_wei=to_integer(fields[3]),
                priority_fee_wei=to_integer(fields[2]),
                signed_time=created_time,
                signed_block=0,
            )
        )
        connection.execute(
            sa.text("UPDATE transactions SET gas = :gas, data = :data WHERE id = :id").bindparams(
                gas=to_integer(fields[4]), data=to_hex(to_bytes(fields[7])), id=number
            )
        )


def downgrade() -> None:
    """The bytes of the newest attempt stay."""
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("raw", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("note", sa.String(), nullable=True))
    for column in ("raw", "tx_hash"):
        op.execute(
            f"UPDATE transactions SET {column} = (SELECT {column} FROM attempts "  # noqa: S608 - names of ours
            "WHERE transaction_id = transactions.id ORDER BY attempts.id DESC LIMIT 1)"
        )
    op.execute("UPDATE transactions SET state = 'FAILED' WHERE state IN ('CANCELLED', 'DISPLACED')")
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transactions_created_time"))
        batch_op.drop_index(batch_op.f("ix_transactions_watched"))
        batch_op.drop_index("ix_transactions_nonce")
        batch_op.create_index("ix_transactions_nonce", ["sender", "nonce"], unique=False)
        for column in ("missing_since_time", "fee_gwei_up", "price_wei", "gas_used", "watched", "gas", "data"):
            batch_op.drop_column(column)
        batch_op.alter_column("state", type_=sa.String(length=8), existing_type=sa.String(length=16))
        batch_op.alter_column("tx_hash", nullable=False, existing_type=sa.String(length=66))
        batch_op.alter_column("raw", nullable=False, existing_type=sa.String())
    with op.batch_alter_table("attempts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attempts_transaction_id"))
    op.drop_table("attempts")

"""Blocks whose logs are proved before their transactions were looked at; events in partitions on PostgreSQL.

`position` goes: it is counted where a proof needs it. `parties` keeps one index instead of two.

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: block numbers a partition; as in `indexer.partitions`
_SPAN = 1_000_000
_COLUMNS = "block_number, log_index, block_hash, tx_index, seq, kind, lease, topics, data, canonical"
_COPY_EVENTS = f"INSERT INTO events ({_COLUMNS}) SELECT {_COLUMNS} FROM old_events"  # noqa: S608 (our own names)
#: what a light block does not say of its transactions
_LATER: dict[str, sa.types.TypeEngine[Any]] = {
    "sender": sa.LargeBinary(),
    "selector": sa.LargeBinary(),
    "succeeded": sa.Boolean(),
    "gas_used": sa.BigInteger(),
}


def _postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _nonce() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 0) if _postgres() else sa.String(20)


def _create_events(*extra: sa.Column[int], partitioned: bool) -> None:
    options: dict[str, Any] = {"postgresql_partition_by": "RANGE (block_number)"} if partitioned else {}
    op.create_table(
        "events",
        sa.Column("block_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("log_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tx_index", sa.BigInteger(), nullable=False),
        *extra,
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("lease", sa.LargeBinary(), nullable=True),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("canonical", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("block_number", "log_index", "block_hash", name=op.f("pk_events")),
        **options,
    )


def _index_seq(columns: list[str]) -> None:
    canonical = sa.text("canonical")
    op.create_index(
        "uq_events_canonical_seq",
        "events",
        columns,
        unique=True,
        sqlite_where=canonical,
        postgresql_where=canonical,
    )


def _set_aside(name: str, *indexes: str) -> None:
    for index in indexes:
        op.drop_index(index, name)
    if _postgres():
        op.execute(f"ALTER TABLE {name} DROP CONSTRAINT pk_{name}")
    op.rename_table(name, f"old_{name}")


def upgrade() -> None:
    _set_aside("events", "uq_events_canonical_seq", op.f("ix_events_kind"), op.f("ix_events_lease"))
    _create_events(partitioned=True)
    if _postgres():
        query = f"SELECT DISTINCT block_number / {_SPAN} FROM old_events"  # noqa: S608 (our own number)
        parts = op.get_bind().execute(sa.text(query)).scalars()
        for part in sorted(parts):
            start, end = part * _SPAN, (part + 1) * _SPAN
            op.execute(f"CREATE TABLE events_{part} PARTITION OF events FOR VALUES FROM ({start}) TO ({end})")
    op.execute(_COPY_EVENTS)
    op.drop_table("old_events")
    _index_seq(["seq", "block_number"])
    op.create_index("ix_events_kind", "events", ["kind", "seq"])
    op.create_index("ix_events_lease", "events", ["lease", "seq"])

    _set_aside("parties", "ix_parties_account")
    op.create_table(
        "parties",
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("account", "seq", name=op.f("pk_parties")),
    )
    op.execute("INSERT INTO parties (account, seq) SELECT account, seq FROM old_parties")
    op.drop_table("old_parties")

    with op.batch_alter_table("transactions") as batch:
        for name, kind in (*_LATER.items(), ("nonce", _nonce())):
            batch.alter_column(name, existing_type=kind, nullable=True)
    with op.batch_alter_table("blocks") as batch:
        batch.add_column(sa.Column("whole", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("blocks") as batch:
        batch.alter_column("whole", server_default=None)
    light = sa.text("NOT whole AND canonical")
    op.create_index("ix_blocks_light", "blocks", ["number"], sqlite_where=light, postgresql_where=light)


def downgrade() -> None:
    """Light blocks cannot be said in the schema before: rebuild the mirror if it holds any."""
    op.drop_index("ix_blocks_light", "blocks")
    with op.batch_alter_table("blocks") as batch:
        batch.drop_column("whole")
    with op.batch_alter_table("transactions") as batch:
        for name, kind in (*_LATER.items(), ("nonce", _nonce())):
            batch.alter_column(name, existing_type=kind, nullable=False)
    _set_aside("parties")
    op.create_table(
        "parties",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "account", name=op.f("pk_parties")),
    )
    op.execute("INSERT INTO parties (seq, account) SELECT seq, account FROM old_parties")
    op.drop_table("old_parties")
    op.create_index("ix_parties_account", "parties", ["account", "seq"])

    _set_aside("events", "uq_events_canonical_seq", "ix_events_kind", "ix_events_lease")
    position = sa.Column("position", sa.BigInteger(), nullable=False, server_default="0")
    _create_events(position, partitioned=False)
    op.execute(_COPY_EVENTS)
    op.drop_table("old_events")
    with op.batch_alter_table("events") as batch:
        batch.alter_column("position", server_default=None)
    _index_seq(["seq"])
    op.create_index(op.f("ix_events_kind"), "events", ["kind"])
    op.create_index(op.f("ix_events_lease"), "events", ["lease"])

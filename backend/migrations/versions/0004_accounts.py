"""API keys with scopes, caps and rotation; drafts of files; which job needs or made which file"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ALL_SCOPES = "jobs:write jobs:read files account:read"


def upgrade() -> None:
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("prefix", sa.String(length=24), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("previous_hash", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("previous_until_time", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("scopes", sa.String(length=128), nullable=False, server_default=_ALL_SCOPES))
        batch_op.add_column(sa.Column("cap_base", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("daily_cap_base", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("committed_base", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("day", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("day_committed_base", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("expires_time", sa.Integer(), nullable=True))
        batch_op.create_unique_constraint("uq_api_keys_previous_hash", ["previous_hash"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.String(length=42), nullable=False),
        sa.Column("cid", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_uploads_owner"), ["owner"], unique=False)
        batch_op.create_index(batch_op.f("ix_uploads_expires_time"), ["expires_time"], unique=False)
    uses = op.create_table(
        "file_uses",
        sa.Column("cid", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cid", "job_id", "lane"),
    )
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_files_owner"), ["owner"], unique=False)
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_created_time"), ["created_time"], unique=False)
    op.bulk_insert(uses, [{"cid": cid, "job_id": job, "lane": lane} for cid, job, lane in sorted(_known_uses())])


def _known_uses() -> set[tuple[str, str, int]]:
    """What the jobs so far name; they all have one lane. Module and inputs are for every lane: -1, outputs for none: -2."""
    connection = op.get_bind()
    found = set()
    for job, manifest, result in connection.execute(sa.text("SELECT id, manifest, result FROM jobs")):
        named = json.loads(manifest)
        for cid in (named["module"], *named.get("inputs", {}).values()):
            found.add((cid, job, -1))
        for output in json.loads(result)["outputs"] if result else ():
            found.add((output["cid"], job, -2))
    for cid, job in connection.execute(sa.text("SELECT checkpoint_cid, job_id FROM usage_receipts")):
        found.add((cid, job, 0))
    return found


def downgrade() -> None:
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_created_time"))
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_files_owner"))
    op.drop_table("file_uses")
    op.drop_table("uploads")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_constraint("uq_api_keys_previous_hash", type_="unique")
        for column in (
            "expires_time",
            "day_committed_base",
            "day",
            "committed_base",
            "daily_cap_base",
            "cap_base",
            "scopes",
            "previous_until_time",
            "previous_hash",
            "prefix",
        ):
            batch_op.drop_column(column)

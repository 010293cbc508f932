"""Runs migrations on the connection that `indexer.store` opened."""

from alembic import context

from indexer.tables import mirror_registry


def include(_: object, name: str | None, kind: str, *__: object) -> bool:
    """Partitions come and go with the blocks."""
    return kind != "table" or name is None or not name.startswith("events_")


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=mirror_registry.metadata,
    # SQLite changes a table by copying it.
    render_as_batch=True,
    compare_type=True,
    include_object=include,
    user_module_prefix="tables.",
)
with context.begin_transaction():
    context.run_migrations()

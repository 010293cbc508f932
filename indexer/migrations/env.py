"""Runs migrations on the connection that `indexer.store` opened."""

from alembic import context

from indexer.tables import mirror_registry

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=mirror_registry.metadata,
    # SQLite changes a table by copying it.
    render_as_batch=True,
    compare_type=True,
    user_module_prefix="tables.",
)
with context.begin_transaction():
    context.run_migrations()

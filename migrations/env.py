"""The script that Alembic runs: our tables, on the connection and transaction that `searchsvc.store.schema` opened."""

from __future__ import annotations

from alembic import context

from searchsvc.store.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes a column by copying the table
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()

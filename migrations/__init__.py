"""The history of the database schema, as Alembic migrations; run by `searchsvc.store.schema`."""

"""Upgrades a database to the current schema, or checks its version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table, text

import searchsvc
from searchsvc.errors import StoreOutdated
from searchsvc.store.database import Database
from searchsvc.store.tables import SCHEMA_VERSION, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

_UPGRADE_LOCK = 0x5EA2C4  # advisory lock of PostgreSQL: one upgrade at a time


def upgrade(url: str, *, wait_seconds: float = 30.0) -> None:
    """Upgrade the database to the schema of this code, from an older version or from nothing.

    A database that is up to date is only read, so that a service starts although it accepts no writes. Raises
    StoreUnavailable, and StoreOutdated if the schema is from a newer searchsvc.
    """
    database = Database(url, wait_seconds=wait_seconds, connections=1)
    try:
        if database.read(version) != SCHEMA_VERSION:
            database.write(_upgrade)
    finally:
        database.close()


def check(url: str, *, wait_seconds: float = 30.0) -> None:
    """Raise StoreOutdated unless the schema has the version of this code."""
    database = Database(url, wait_seconds=wait_seconds, connections=1)
    try:
        check_database(database)
    finally:
        database.close()


def check_database(database: Database, *, wait_seconds: float | None = None) -> None:
    """Raise StoreOutdated unless the schema has the version of this code."""
    stored = database.read(version, wait_seconds=wait_seconds)
    if stored != SCHEMA_VERSION:
        at = "has no schema yet" if stored is None else f"is at schema {stored}"
        cure = "searchctl db upgrade" if stored is None or stored < SCHEMA_VERSION else "a newer version of searchsvc"
        raise StoreOutdated(f"{database} {at}; this code works with {SCHEMA_VERSION}: it needs `{cure}`")


def version(connection: Connection) -> str | None:
    """Return the version of the database's schema, or None if the database has none of our tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration on an open connection, for commands on the migrations."""
    from alembic.config import Config  # takes a while to import, and only an upgrade needs it

    config = Config()
    # Located next to our package, since the working directory may hold somebody else's `migrations`.
    location = str(Path(searchsvc.__file__).parent.parent / "migrations")
    config.set_main_option("script_location", location.replace("%", "%%"))  # a value of an ini file
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    stored = version(connection)
    if stored is not None and stored > SCHEMA_VERSION:
        raise StoreOutdated(f"the database is at schema {stored}; this code works with {SCHEMA_VERSION}")
    command.upgrade(alembic_config(connection), "head")

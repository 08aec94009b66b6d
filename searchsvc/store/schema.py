"""The version of a database's schema: bring it up to date, or check that it is."""

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
    """Bring the database to the schema of this code, from nothing or from an older version; nothing to do is fine.

    Raises StoreUnavailable, and StoreOutdated where a newer searchsvc has been here.
    """
    database = Database(url, wait_seconds=wait_seconds)
    try:
        database.write(_upgrade)
    finally:
        database.close()


def check(url: str, *, wait_seconds: float = 30.0) -> None:
    """Raises StoreOutdated unless the schema is at the version that this code works with."""
    database = Database(url, wait_seconds=wait_seconds)
    try:
        check_database(database)
    finally:
        database.close()


def check_database(database: Database) -> None:
    found = database.read(version)
    if found != SCHEMA_VERSION:
        at = "has no schema yet" if found is None else f"is at schema {found}"
        cure = "searchctl db upgrade" if found is None or found < SCHEMA_VERSION else "a newer version of searchsvc"
        raise StoreOutdated(f"{database} {at}; this code works with {SCHEMA_VERSION}: it needs `{cure}`")


def version(connection: Connection) -> str | None:
    """The version that the database is at; None for one without our tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration over an open connection, for commands on the migrations."""
    from alembic.config import Config  # takes a while to import, and only an upgrade needs it

    config = Config()
    # Beside our package, not by the name `migrations`: the working directory may hold somebody else's.
    config.set_main_option("script_location", str(Path(searchsvc.__file__).parent.parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
    found = version(connection)
    if found is not None and found > SCHEMA_VERSION:
        raise StoreOutdated(f"the database is at schema {found}; this code works with {SCHEMA_VERSION}")
    command.upgrade(alembic_config(connection), "head")

"""An engine, and transactions that survive a temporary outage of the database.

A transaction is a function of a connection. It is repeated from its start if the connection was lost or the database
was busy. A commit whose answer was lost may have succeeded: functions that must not run twice write a mark to the row
that they change, and look for it first.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from searchsvc.errors import InvalidInput, StoreUnavailable

T = TypeVar("T")

_WRITES = "searchsvc_writes"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.5
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNUSABLE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_NOTADB,
}
# SQLSTATEs after which the same transaction may succeed: connection, rollback, resources and operator classes; a lock
# not granted in time; a session that idled too long inside a transaction.
_TRANSIENT_CLASSES, _TRANSIENT_STATES = {"08", "40", "53", "57"}, {"55P03", "25P03"}


class TryAgain(Exception):
    """Raised in a transaction that lost a race, to roll back and repeat it when the winner is visible."""


class Database:
    """A connection pool, and transactions on it."""

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        self.url = parse_url(url)
        self._wait_seconds = wait_seconds
        self.engine = _engine(self.url, wait_seconds)
        # SQLite has one writer. Threads queue here, in order, instead of in its busy handler, which sleeps.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()

    def read(self, work: Callable[[Connection], T], *, wait_seconds: float | None = None) -> T:
        """Run `work` in a transaction that only reads, and return its result."""
        return self._until_done(partial(self._once, work, writes=False), wait_seconds)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction, and return its result when its writes are on disk."""

        def once() -> T:
            with self._turn:
                return self._once(work, writes=True)

        return self._until_done(once, None)

    def _once(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        with self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: writes})
            with connection.begin():
                return work(connection)

    def _until_done(self, run: Callable[[], T], wait_seconds: float | None) -> T:
        wait = self._wait_seconds if wait_seconds is None else wait_seconds
        deadline = time.monotonic() + wait
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return run()
            except (TryAgain, PoolTimeout) as passing:
                error: Exception = passing
            except DBAPIError as failed:
                if _is_out_of_order(failed):
                    raise StoreUnavailable(f"{self}: {_message(failed)}") from failed
                if not _is_transient(failed):
                    raise
                error = failed
            if time.monotonic() + pause > deadline:
                raise StoreUnavailable(f"{self} did not answer within {wait:g} s: {_message(error)}") from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def insert_if_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert the row unless a row with its key exists. Return whether it was inserted."""
    statement = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    inserted = statement.values(values).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(inserted).first() is not None


def parse_url(url: str) -> URL:
    """Return the URL of a database with our drivers filled in. Raises InvalidInput."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidInput.at("", f"{url!r} is not a database URL; {_EXAMPLES}") from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidInput.at("", f"{backend} is not supported; {_EXAMPLES}")
    if parsed.database in (None, "", ":memory:"):
        raise InvalidInput.at("", f"SQLite needs a file: a database in memory would end with the process; {_EXAMPLES}")
    return parsed


_EXAMPLES = "write sqlite:////path/to/file.db or postgresql://user:password@host/database"


def _engine(url: URL, wait_seconds: float) -> Engine:
    dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
    if url.get_backend_name() == "sqlite":
        assert url.database is not None
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(url, json_serializer=dumps, connect_args={"timeout": wait_seconds})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    arguments = {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "options": _postgres_options(),
    }
    return create_engine(url, json_serializer=dumps, pool_size=5, max_overflow=20, connect_args=arguments)


def _postgres_options() -> str:
    # A client that freezes inside a transaction would keep the lock on events: the server ends the session.
    return "-c idle_in_transaction_session_timeout=15s -c lock_timeout=20s"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin explicitly (`_begin_sqlite`), not before the first write
    cursor = connection.cursor()
    # FULL: a commit survives a power cut, not only the process. On a cloud disk, a flush of 20 measurements takes
    # 4.5 ms (4,400 a second) instead of 3.8 ms with NORMAL: not worth losing confirmed writes.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes fails instead of waiting for another writer. So: IMMEDIATE.
    writes = connection.get_execution_options().get(_WRITES, True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _message(error: Exception) -> str:
    """Return the driver's message, without SQLAlchemy's statement and parameters."""
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()


def _is_transient(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return (getattr(error.orig, "sqlite_errorcode", 0) & 0xFF) in _BUSY
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # the server was not reached
        return isinstance(error, OperationalError | InterfaceError)
    return state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES


def _is_out_of_order(error: DBAPIError) -> bool:
    """Return whether SQLite reports that its file is unusable, so that waiting is useless."""
    return isinstance(error.orig, sqlite3.Error) and (getattr(error.orig, "sqlite_errorcode", 0) & 0xFF) in _UNUSABLE

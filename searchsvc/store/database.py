"""An engine, and transactions that survive a temporary outage of the database.

A transaction is a function of a connection. It is repeated from its start if the connection was lost or the database
was busy (`searchsvc.store.failures`). A commit whose answer was lost may have succeeded: functions that must not run
twice write a mark to the row that they change, and look for it first.

Nothing outlasts a transaction in a session of PostgreSQL: its limits are set for each transaction, statements are not
prepared, and advisory locks end with the transaction. So a pooler in transaction mode may stand in between.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, ExceptionContext, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from searchsvc.errors import InvalidInput, StoreUnavailable
from searchsvc.settings import without_password
from searchsvc.store.failures import Remedy, failure_of, leads_nowhere, message_of

T = TypeVar("T")

API_CONNECTIONS = 10
"""Connections of a process that answers requests, at most."""
CONTROLLER_CONNECTIONS = 2
"""Connections of a controller: its loop, and its housekeeping."""
DRIVER_CONNECTIONS = 2
"""Connections of a driver: its main thread, and its heartbeat."""

_WRITES, _WAIT = "searchsvc_writes", "searchsvc_wait_seconds"
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.5
_POOL_SECONDS = 1.0
"""A thread asks the pool again after this time, so that it notices the end of its own patience."""
_LONGEST_LOCK_SECONDS = 20.0
_LARGEST_LOG_BYTES = 64_000_000
"""The file of SQLite's write-ahead log is cut to this size when it is used again from its start."""


_LONGEST_SQLITE_PATH = 490
"""SQLite opens files whose path has up to 512 bytes, and appends `-journal` to the path of a database."""


class TryAgain(Exception):
    """Raised in a transaction that lost a race, to roll back and repeat it when the winner is visible."""


class PoolExhausted(StoreUnavailable):
    """All connections of this process are in use."""


Observer: TypeAlias = Callable[[str, float, bool], None]
"""Receives the kind of a transaction (read or write), its seconds with waits and repetitions, and whether the database
answered in time."""


def _ignore(kind: str, seconds: float, answered: bool) -> None:
    """Observe nothing."""


class Database:
    """A connection pool, and transactions on it."""

    def __init__(self, url: str, *, wait_seconds: float, connections: int = API_CONNECTIONS) -> None:
        """Prepare a pool of at most `connections`, which are opened when they are needed."""
        self.url = parse_url(url)
        self._wait_seconds = wait_seconds
        self.engine = _engine(self.url, connections)
        self._turn = threading.Lock()
        self._answered_at = float("-inf")
        self.observe: Observer = _ignore
        """Called after each transaction."""

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        return without_password(self.url.render_as_string(hide_password=True))

    def close(self) -> None:
        self.engine.dispose()

    def bytes_used(self) -> int:
        """Return the size of the database on its disk: of SQLite, the file and its write-ahead log."""
        if not self.is_sqlite:
            size = select(func.pg_database_size(func.current_database()))
            return int(self.read(lambda connection: connection.execute(size).scalar_one()))
        files = (Path(f"{self.url.database}{suffix}") for suffix in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def shorten_log(self) -> None:
        """Bring SQLite's write-ahead log into the database and empty its file, unless somebody reads or writes now."""
        if not self.is_sqlite:
            return
        connection = self.engine.raw_connection()  # outside of a transaction
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 0")
            # The first does the work beside writers; the second, which makes them wait, then has little left to do.
            for mode in ("PASSIVE", "TRUNCATE"):
                cursor.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
            cursor.close()
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{self}: its log is not shortened now: {error}") from error
        finally:
            connection.close()

    def read(self, work: Callable[[Connection], T], *, wait_seconds: float | None = None) -> T:
        """Run `work` in a transaction that only reads, and return its result."""
        with self._observed("read"):
            return self._until_done(partial(self._once, work, writes=False), wait_seconds)

    def write(self, work: Callable[[Connection], T], *, wait_seconds: float | None = None) -> T:
        """Run `work` in a transaction, and return its result when its writes are on disk."""

        def once(patience: float) -> T:
            with self._queued(patience) as remaining:
                return self._once(work, remaining, writes=True)

        with self._observed("write"):
            return self._until_done(once, wait_seconds)

    @contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        started, answered = time.monotonic(), True
        try:
            yield
        except StoreUnavailable:
            answered = False
            raise
        finally:
            self.observe(kind, time.monotonic() - started, answered)

    @contextmanager
    def _queued(self, patience: float) -> Iterator[float]:
        """Wait for other writers of this process, and yield the seconds that remain.

        SQLite has a single writer. Threads queue here, in order, instead of in its busy handler, which sleeps.
        """
        if not self.is_sqlite:
            yield patience
            return
        deadline = time.monotonic() + patience
        if not self._turn.acquire(timeout=patience):
            raise TryAgain("other writers of this process keep it locked")
        try:
            yield max(0.0, deadline - time.monotonic())
        finally:
            self._turn.release()

    def _once(self, work: Callable[[Connection], T], patience: float, *, writes: bool) -> T:
        with self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: writes, _WAIT: patience})
            with connection.begin():
                result = work(connection)
        self._answered_at = time.monotonic()
        return result

    def answered_within(self, seconds: float) -> bool:
        """Return whether the database has completed a transaction of this process in the last `seconds`."""
        return time.monotonic() - self._answered_at <= seconds

    def _until_done(self, run: Callable[[float], T], wait_seconds: float | None) -> T:
        """Call `run` with the seconds for which it may wait, until it succeeds or the time is over."""
        wait = self._wait_seconds if wait_seconds is None else wait_seconds
        deadline = time.monotonic() + wait
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return run(max(0.0, deadline - time.monotonic()))
            except (TryAgain, PoolTimeout) as passing:
                error: Exception = passing
                meaning = "it is busy"
            except DBAPIError as failed:
                failure = failure_of(failed)
                if failure.remedy is Remedy.RAISE:
                    raise
                if failure.remedy is Remedy.REPORT:
                    raise StoreUnavailable(f"{self}: {failure.meaning}: {message_of(failed)}") from failed
                error, meaning = failed, failure.meaning
            if time.monotonic() + pause > deadline:
                kind = PoolExhausted if isinstance(error, PoolTimeout) else StoreUnavailable
                raise kind(f"{self} did not answer within {wait:g} s, {meaning}: {message_of(error)}") from error
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
    except (ArgumentError, ValueError):
        raise InvalidInput.at("", f"{without_password(url)!r} is not a database URL; {_EXAMPLES}") from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidInput.at("", f"{backend} is not supported; {_EXAMPLES}")
    if parsed.database in (None, "", ":memory:"):
        raise InvalidInput.at("", f"SQLite needs a file: a database in memory would end with the process; {_EXAMPLES}")
    if len(os.fsencode(os.path.realpath(parsed.database))) > _LONGEST_SQLITE_PATH:
        raise InvalidInput.at(
            "",
            f"the path of the database is longer than {_LONGEST_SQLITE_PATH} bytes, which SQLite cannot open: "
            "use a data folder with a shorter path, or PostgreSQL",
        )
    return parsed


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite database; None for PostgreSQL. Raises InvalidInput."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path(os.path.abspath((parsed.database or "").removeprefix("file:")))


_EXAMPLES = "write sqlite:////path/to/file.db or postgresql://user:password@host/database"


def _engine(url: URL, connections: int) -> Engine:
    dumps = partial(json.dumps, allow_nan=False, separators=(",", ":"))
    arguments: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        _make_folder(url)
    else:
        # What libpq does by itself: a pooler refuses settings that are sent to the server at the start of a session.
        arguments = {"connect_timeout": 5, "tcp_user_timeout": 15_000, "keepalives_idle": 10, "prepare_threshold": None}
    engine = create_engine(
        url,
        json_serializer=dumps,
        connect_args=arguments,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
    )
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgres)
        event.listen(engine, "begin", _begin_postgres)
    event.listen(engine, "handle_error", _replace_connections)
    return engine


def _make_folder(url: URL) -> None:
    """Create the folder of a SQLite file, unless the database is a URI (`file:...`) with options of its own."""
    assert url.database is not None
    if not url.database.startswith("file:"):
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _replace_connections(context: ExceptionContext) -> None:
    """Make the pool replace its connections after an error that a new connection may avoid."""
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and leads_nowhere(error):
        context.is_disconnect = True


def _prepare_postgres(connection: Any, _record: object) -> None:
    connection.autocommit = True  # transactions begin explicitly (`_begin_postgres`)


def _begin_postgres(connection: Connection) -> None:
    options = connection.get_execution_options()
    begin = "BEGIN" if options.get(_WRITES, True) else "BEGIN READ ONLY"
    lock_seconds = min(_LONGEST_LOCK_SECONDS, options.get(_WAIT, _LONGEST_LOCK_SECONDS))
    lock_milliseconds = max(1, round(lock_seconds * 1000))  # 0 would be no limit
    # A client that freezes inside a transaction would keep the lock on events: the server ends the session.
    connection.exec_driver_sql(
        f"{begin}; SET LOCAL lock_timeout = {lock_milliseconds}; SET LOCAL idle_in_transaction_session_timeout = 15000"
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin explicitly (`_begin_sqlite`), not before the first write
    cursor = connection.cursor()
    # FULL: a commit survives a power cut, not only the process. On a cloud disk, a flush of 20 measurements takes
    # 4.5 ms (4,400 a second) instead of 3.8 ms with NORMAL: not worth losing confirmed writes.
    log_limit = f"journal_size_limit = {_LARGEST_LOG_BYTES}"
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", log_limit):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes fails instead of waiting for another writer. So: IMMEDIATE.
    options = connection.get_execution_options()
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {options.get(_WAIT, _LONGEST_LOCK_SECONDS) * 1000:.0f}")
    cursor.close()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES, True) else "BEGIN")

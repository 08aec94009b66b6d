"""Counts of the statements and transactions that a database receives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL statements that all engines of this process send during the block; an executemany counts once."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@contextmanager
def commits() -> Iterator[list[Connection]]:
    """Collect the connections of the transactions that all engines of this process commit during the block."""
    made: list[Connection] = []
    note = made.append
    event.listen(Engine, "commit", note)
    try:
        yield made
    finally:
        event.remove(Engine, "commit", note)


_SQLITE_STEPS = 10


@contextmanager
def visits() -> Iterator[Counter[str]]:
    """Count the database's work for the SELECTs of this process: `steps` of SQLite's machine, `rows` of PostgreSQL.

    Rows that a query skips count. PostgreSQL runs every query a second time, to explain it.
    """
    made: Counter[str] = Counter()
    queries: list[tuple[Connection, str, Any]] = []
    watched: list[Any] = []

    def step() -> None:
        made["steps"] += _SQLITE_STEPS

    def note(connection: Connection, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if connection.dialect.name == "sqlite":
            raw = connection.connection.dbapi_connection
            raw.set_progress_handler(step, _SQLITE_STEPS)
            watched.append(raw)
        elif statement.lstrip().upper().startswith(("SELECT", "WITH")):
            queries.append((connection, statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        for raw in watched:
            raw.set_progress_handler(None, 0)
    for connection, statement, parameters in queries:
        with connection.engine.connect() as again:
            explained = again.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
        made["rows"] += _rows_of(explained[0]["Plan"])


def _rows_of(plan: Mapping[str, Any]) -> int:
    """Return the number of rows that a node of a plan and its children read or skip."""
    below = plan.get("Plans", ())
    own = plan.get("Rows Removed by Filter", 0) + (0 if below else plan["Actual Rows"])
    return round(own * plan["Actual Loops"]) + sum(map(_rows_of, below))

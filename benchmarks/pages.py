"""Reading a job of 100,000 trials, on SQLite and PostgreSQL, compared with plain SQL on the same tables.

The reference counts or fetches the same rows with the bare database driver and makes no records of them.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg

from benchmarks.report import Row
from benchmarks.stores import ended_job
from searchsvc.domain import TrialState
from searchsvc.store import Store
from tests.support.postgres import PostgresMissing, PostgresServer

TRIALS = 100_000
PAGE = 100
RUNS = 15
LIMIT_SECONDS = 0.1


def run() -> list[Row]:
    return [*_on_sqlite(), *_on_postgresql()]


def _on_sqlite() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/bench.db"
        return _rows("SQLite", f"sqlite:///{path}", lambda: sqlite3.connect(path))


def _on_postgresql() -> list[Row]:
    try:
        server = PostgresServer()
    except PostgresMissing as missing:
        return [Row("PostgreSQL", "not measured", str(missing))]
    try:
        server.start()
        url = server.create_database()
        return _rows("PostgreSQL", url, lambda: psycopg.connect(url))
    finally:
        server.remove()


def _rows(database: str, url: str, connect: Callable[[], Any]) -> list[Row]:
    store = Store.create(url)
    connection = connect()
    try:
        job_id = ended_job(store, url, TRIALS)
        of_job = f"FROM trials WHERE job_id = '{job_id}'"
        ranked = f"{of_job} AND state IN ('SUCCEEDED', 'STOPPED') AND badness IS NOT NULL ORDER BY badness, number"
        last, failed = TRIALS - PAGE - 1, TrialState.FAILED
        measured: list[tuple[str, Callable[[], object], str]] = [
            (
                f"first {PAGE} trials",
                lambda: store.trials(job_id, limit=PAGE),
                f"{of_job} ORDER BY number LIMIT {PAGE}",
            ),
            (
                f"last {PAGE} trials",
                lambda: store.trials(job_id, after=last, limit=PAGE),
                f"{of_job} AND number > {last} ORDER BY number LIMIT {PAGE}",
            ),
            (
                f"first {PAGE} failed",
                lambda: store.trials(job_id, state=failed, limit=PAGE),
                f"{of_job} AND state = '{failed}' ORDER BY number LIMIT {PAGE}",
            ),
            ("best 10", lambda: store.best_trials(job_id, 10), f"{ranked} LIMIT 10"),
        ]
        rows = [
            _row(f"{database}: {what}", ours, partial(_all_rows, connection, f"SELECT * {sql}"), "SELECT")
            for what, ours, sql in measured
        ]
        count = f"SELECT state, COUNT(*) {of_job} GROUP BY state"
        counts = partial(_all_rows, connection, count)
        return [*rows, _row(f"{database}: counts by state", lambda: store.trial_counts(job_id), counts, "COUNT(*)")]
    finally:
        connection.close()
        store.close()


def _row(what: str, ours: Callable[[], object], plain: Callable[[], object], name: str) -> Row:
    pairs = [(_seconds(ours), _seconds(plain)) for _ in range(RUNS)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    reference = f"{1000 * theirs:.2f} ms  plain {name}"
    return Row(
        what,
        f"{1000 * mine:.2f} ms",
        reference,
        mine / theirs,
        f"<= {1000 * LIMIT_SECONDS:.0f} ms",
        mine <= LIMIT_SECONDS,
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _all_rows(connection: Any, sql: str) -> object:
    return connection.execute(sql).fetchall()

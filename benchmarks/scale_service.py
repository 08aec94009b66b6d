"""The store of 10,000 jobs, 1,000,000 measurements and 10,000,000 events, beside a store with a single empty job.

Milliseconds of the operations that the service, its controllers and its pages repeat; then a minute of the deletion of
the largest job, of which the longest transaction counts: for that long, on SQLite, everybody else waits.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import create_engine, insert, select, text

from benchmarks.report import Row
from benchmarks.stores import claimed_job, fill
from searchsvc.domain import JobState, new_id
from searchsvc.service.system.removal import ROWS_REMOVED_AT_ONCE
from searchsvc.store import Store
from searchsvc.store.tables import jobs
from tests.support.postgres import PostgresMissing, PostgresServer

JOBS, TRIALS, STEPS = 10_000, 10_000, 100
RUNS, DELETION_SECONDS = 15, 60.0
LIMIT_MS, LONGEST_MS = 500.0, 1500.0
"""The longest transaction of a deletion is half of the time after which a driver counts as dead."""
_ROWS_PER_STATEMENT = 1_000


@dataclass(frozen=True, slots=True)
class _Filled:
    """A store, and its largest job."""

    store: Store
    job_id: str
    measurements: int
    events: int


def rows(events: int) -> list[Row]:
    """Return the rows of both databases. `events`: number of events of the largest job."""
    return [*_on_sqlite(events), *_on_postgresql(events)]


def _on_sqlite(events: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="scale") as folder:
        return _rows("SQLite", f"sqlite:///{folder}/full.db", f"sqlite:///{folder}/empty.db", events)


def _on_postgresql(events: int) -> list[Row]:
    try:
        server = PostgresServer()
    except PostgresMissing as missing:
        return [Row("PostgreSQL", "not measured", str(missing))]
    try:
        server.start()
        return _rows("PostgreSQL", server.create_database(), server.create_database(), events)
    finally:
        server.remove()


def _rows(database: str, full_url: str, empty_url: str, events: int) -> list[Row]:
    full, empty = _filled(full_url, events), _filled(empty_url, 0)
    try:
        ours, reference = _operations(full), _operations(empty)
        shown = [_row(f"{database}: {name}", _ms(ours[name]), _ms(reference[name])) for name in ours]
        return [*shown, _deletion(database, full)]
    finally:
        full.store.close()
        empty.store.close()


def _row(what: str, ours: float, reference: float) -> Row:
    return Row(
        what,
        f"{ours:.1f} ms",
        f"{reference:.1f} ms  a single job",
        ours / reference,
        f"<= {LIMIT_MS:g} ms",
        ours <= LIMIT_MS,
    )


def _ms(operation: Callable[[], object]) -> float:
    operation()
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        operation()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def _operations(filled: _Filled) -> Mapping[str, Callable[[], object]]:
    store, job_id = filled.store, filled.job_id
    return {
        "the newest 50 jobs": lambda: store.jobs(limit=50),
        "a page of 1,000 jobs": lambda: store.jobs(limit=1_000),
        "the statistics of /metrics": store.statistics,
        "a look for a job that needs a driver": lambda: store.claim("bench", 30.0),
        "1,000 events from the middle": lambda: store.events(after=filled.events // 2, limit=1_000),
        "the latest 100 events of the job": lambda: store.latest_events(job_id, 100),
        "1,000 measurements from the middle": lambda: store.job_measurements(
            job_id, after=filled.measurements // 2, limit=1_000
        ),
        "the best 10 trials": lambda: store.best_trials(job_id, 10),
    }


def _deletion(database: str, filled: _Filled) -> Row:
    """Delete the largest job for a minute, and return its longest transaction."""
    transactions: list[float] = []
    filled.store.observe(lambda kind, seconds, _: transactions.append(seconds) if kind == "write" else None)
    began, removed = time.perf_counter(), 0
    filled.store.delete_job(filled.job_id)
    while time.perf_counter() - began < DELETION_SECONDS:
        part = filled.store.remove_rows(filled.job_id, ROWS_REMOVED_AT_ONCE)
        removed += part
        if part < ROWS_REMOVED_AT_ONCE:
            break
    longest = 1000 * max(transactions)
    return Row(
        f"{database}: deletion, longest of {len(transactions):,} transactions",
        f"{longest:.0f} ms",
        f"{removed / (time.perf_counter() - began):,.0f} rows/s  on the whole",
        None,
        f"<= {LONGEST_MS:g} ms",
        longest <= LONGEST_MS,
    )


def _filled(url: str, events: int) -> _Filled:
    store = Store.create(url)
    job_id = claimed_job(store).job_id
    if not events:
        return _Filled(store, job_id, 0, 0)
    fill(url, job_id, TRIALS)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        template = dict(connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one())
        ended = template | {"state": JobState.SUCCEEDED.value}
        for _ in range(0, JOBS, _ROWS_PER_STATEMENT):
            connection.execute(insert(jobs), [ended | {"id": new_id()} for _ in range(_ROWS_PER_STATEMENT)])
        connection.execute(text(_MEASUREMENTS), {"count": STEPS})
        connection.execute(text(_EVENTS), {"count": events // TRIALS})
        connection.execute(text("UPDATE jobs SET state = 'SUCCEEDED' WHERE id = :id"), {"id": job_id})
        connection.execute(text("DELETE FROM leases"))
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
    engine.dispose()
    return _Filled(store, job_id, TRIALS * STEPS, events)


_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_MEASUREMENTS = f"""{_NUMBERS}
INSERT INTO measurements (job_id, trial_id, trial_number, step, metrics, seconds)
SELECT t.job_id, t.id, t.number, n.i, t.costs, 1.0 FROM n, trials t"""
_EVENTS = f"""{_NUMBERS}
INSERT INTO events (job_id, trial_id, kind, data, at)
SELECT t.job_id, t.id, 'trial.waiting', t.costs, t.created_at FROM n, trials t"""

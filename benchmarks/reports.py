"""Durable measurements per second through the driver's JobWriter, compared with a SQLite transaction for each."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.report import Row
from benchmarks.stores import claimed_job, proposal
from searchsvc.domain import Measurement, new_id
from searchsvc.store import Store

TRIALS, STEPS, BATCH = 20, 200, 20
LEAST_PER_SECOND = 500


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        ours = _through_the_writer(Store.create(f"sqlite:///{folder}/ours.db"))
        bare = _bare(Path(folder) / "bare.db")
    return [
        Row(
            f"measurements in batches of {BATCH}",
            f"{ours:,.0f} /s",
            f"{bare:,.0f} /s  one SQLite transaction each",
            ours / bare,
            f">= {LEAST_PER_SECOND} /s",
            ours >= LEAST_PER_SECOND,
        )
    ]


def _through_the_writer(store: Store) -> float:
    lease = claimed_job(store)
    writer = store.writer(lease)
    ids = [new_id() for _ in range(TRIALS)]
    writer.add_trials([(trial_id, number, proposal(number)) for number, trial_id in enumerate(ids)])
    for trial_id in ids:
        writer.start_attempt(trial_id, 1, node="bench", pid=1, at=time.time())
    writer.flush()
    started = time.perf_counter()
    for step in range(1, STEPS + 1):
        for index, trial_id in enumerate(ids, start=1):
            measurement = Measurement(step, {"accuracy": step / STEPS, "loss": 1.0}, float(step))
            writer.measure(trial_id, measurement, measurement)
            if index % BATCH == 0:
                writer.flush()
    writer.flush()
    rate = TRIALS * STEPS / (time.perf_counter() - started)
    store.close()
    return rate


def _bare(path: Path) -> float:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE measurements (trial INTEGER, step INTEGER, metrics TEXT, seconds REAL)")
    started = time.perf_counter()
    count = TRIALS * STEPS // 4
    for step in range(count):
        with connection:
            connection.execute("INSERT INTO measurements VALUES (?, ?, ?, ?)", (0, step, '{"accuracy": 0.5}', 1.0))
    connection.close()
    return count / (time.perf_counter() - started)

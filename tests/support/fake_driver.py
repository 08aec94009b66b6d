"""A driver that trains nothing: `python -m tests.support.fake_driver JOB EPOCH BEHAVIOUR`.

Each start adds a line "JOB EPOCH PID" to the file `starts` in the data folder.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from sqlalchemy import Connection, update

from searchsvc.domain import JobState, Lease
from searchsvc.errors import LeaseLost
from searchsvc.settings import Settings
from searchsvc.store import Store
from searchsvc.store.tables import jobs
from workers.driver.heartbeat import Pulse


def main(job_id: str, epoch: int, behaviour: str) -> int:
    pulse = Pulse()
    pulse.guard(lambda: True, has_started=lambda: True)
    pulse.start()
    settings = Settings()
    with (settings.data_dir / "starts").open("a") as file:
        file.write(f"{job_id} {epoch} {os.getpid()}\n")
    if behaviour == "crash" or (behaviour == "crash-once" and epoch == 1):
        print(f"boom in epoch {epoch}", flush=True)
        return 3
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    store = Store.open(settings.database_url)
    lease = next(one for one in store.leases() if (one.job_id, one.epoch) == (job_id, epoch))
    return _work(store, lease, settings, behaviour, ended)


def _work(store: Store, lease: Lease, settings: Settings, behaviour: str, ended: threading.Event) -> int:
    until = time.monotonic() + (0.3 if behaviour != "run" and behaviour != "deaf" else 600.0)
    while time.monotonic() < until and not ended.wait(settings.heartbeat_seconds):
        try:
            job = store.heartbeat(lease, settings.lease_seconds, seconds=settings.heartbeat_seconds, gpu_seconds=0.0)
        except LeaseLost:
            return 0
        if job.request is not None and behaviour != "deaf":
            return _finish(store, lease, JobState.PAUSED)
    if ended.is_set():
        store.release(lease)
        return 0
    if behaviour == "freeze" and lease.epoch == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    if behaviour == "freeze-in-write" and lease.epoch == 1:
        _freeze_in_a_write(store)
    return _finish(store, lease, JobState.SUCCEEDED)


def _freeze_in_a_write(store: Store) -> None:
    """Suspend this process while it holds the lock of SQLite's only writer."""

    def freeze(connection: Connection) -> None:
        connection.execute(update(jobs).values(revision=jobs.c.revision))
        os.kill(os.getpid(), signal.SIGSTOP)

    store._database.write(freeze)


def _finish(store: Store, lease: Lease, state: JobState) -> int:
    writer = store.writer(lease)
    writer.finish_job(state)
    writer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

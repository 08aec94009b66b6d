"""The driver process: `python -m workers.driver JOB EPOCH`. Without arguments, it waits for its job on stdin.

Exit code 0: the job ended, was paused or requeued, or belongs to another driver now. 1: the driver crashed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from functools import partial

from searchsvc.errors import LeaseLost, SearchsvcError, Unstorable
from searchsvc.settings import Settings
from searchsvc.store import JobWriter, Store
from searchsvc.store.database import DRIVER_CONNECTIONS
from workers import cluster
from workers.driver import interruption, standby
from workers.driver.heartbeat import Heartbeat, Pulse
from workers.driver.interruption import StopRequests

logger = logging.getLogger("workers.driver")

_LONGEST_TRACEBACK = 100_000


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings()
    pulse = Pulse()
    pulse.start()
    os.environ.update(cluster.client_environment(settings))  # ray reads it on import, so it is imported later
    claim = standby.wait() if not arguments else (arguments[0], int(arguments[1]))
    return 0 if claim is None else _run_under_lease(*claim, settings, pulse)


def _run_under_lease(job_id: str, epoch: int, settings: Settings, pulse: Pulse) -> int:
    """Run the job, if the lease of that epoch still exists, and return the exit code."""
    wait = settings.database_wait_seconds
    store = Store.open(settings.database_url, wait_seconds=wait, connections=DRIVER_CONNECTIONS)
    lease = next((lease for lease in store.leases() if (lease.job_id, lease.epoch) == (job_id, epoch)), None)
    if lease is None:
        logger.info("job %s has no lease of epoch %d: another driver runs it", job_id, epoch)
        return 0
    job = store.job(job_id)
    connected = threading.Event()
    check = partial(_check_head, settings, connected)
    heartbeat = Heartbeat(store, lease, settings, job, on_lost=_leave, check=check)
    heartbeat.start()
    pulse.guard(lambda: heartbeat.is_healthy, has_started=connected.is_set)
    writer = store.writer(lease)
    try:
        return _run(store, writer, heartbeat, settings, connected)
    finally:
        heartbeat.stop()
        store.close()


def _leave() -> None:
    """End this process and its workers at once, without another write: the lease belongs to another driver."""
    logger.warning("the lease is lost: this driver ends")
    os._exit(0)


def _check_head(settings: Settings, connected: threading.Event) -> None:
    """End this driver if the local Ray head has died.

    Ray would wait a minute for it; a new driver with a new head continues sooner.
    """
    if connected.is_set() and settings.ray_address is None and cluster.running(settings) is None:
        logger.error("the local Ray head is gone: this driver ends")
        os._exit(1)


def _run(store: Store, writer: JobWriter, heartbeat: Heartbeat, settings: Settings, connected: threading.Event) -> int:
    try:
        _run_job(store, writer, heartbeat, settings, connected)
    except LeaseLost:
        _leave()
    except Exception:
        logger.exception("the driver of job %s crashed", heartbeat.job.id)
        _note_crash(writer, traceback.format_exc())
        return 1
    return 0


def _note_crash(writer: JobWriter, message: str) -> None:
    """Store the crash, even if writes that were collected before it cannot be stored."""
    for _ in range(2):
        try:
            writer.event("job.driver_crashed", {"traceback": message[-_LONGEST_TRACEBACK:]})
            writer.flush()
        except Unstorable as error:
            logger.error("writes from before the crash: %s", error)
        except SearchsvcError as error:
            logger.error("the crash could not be stored: %s", error)
            return
        else:
            return


def _run_job(
    store: Store, writer: JobWriter, heartbeat: Heartbeat, settings: Settings, connected: threading.Event
) -> None:
    """Run the job.

    Imports that take seconds (Optuna, Ray) stand here: the heartbeat must already run when they begin.
    """
    requests = StopRequests(heartbeat)
    requests.hear_sigterm()
    from workers.driver.job import JobRun

    JobRun(store, writer, heartbeat, settings, requests, connected).run()


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    if interruption.is_any_unfinished():
        logging.shutdown()
        os._exit(exit_code)  # a call to a Ray that does not answer would hold up the end of the process
    sys.exit(exit_code)

"""The driver process: `python -m workers.driver JOB EPOCH`; without arguments, one that waits for its job.

Exit code 0: the job ended, was given back, or belongs to another driver now. 1: the driver crashed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from searchsvc.errors import LeaseLost, SearchsvcError
from searchsvc.settings import Settings
from searchsvc.store import JobWriter, Store
from workers import cluster
from workers.driver import standby
from workers.driver.heartbeat import Heartbeat

logger = logging.getLogger("workers.driver")


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = Settings()
    os.environ.update(cluster.client_environment(settings))  # ray must not be imported before
    given = standby.wait() if not arguments else (arguments[0], int(arguments[1]))
    return 0 if given is None else _run_under_lease(*given, settings)


def _run_under_lease(job_id: str, epoch: int, settings: Settings) -> int:
    """The exit code. Nothing is run where the lease of that epoch is no more."""
    store = Store.open(settings.database_url, wait_seconds=settings.database_wait_seconds)
    lease = next((one for one in store.leases() if one.job_id == job_id and one.epoch == epoch), None)
    if lease is None:
        logger.info("job %s has no lease of epoch %d: another driver runs it", job_id, epoch)
        return 0
    job = store.job(job_id)
    connected = threading.Event()
    check = partial(_check_head, settings, connected)
    heartbeat = Heartbeat(store, lease, settings, job, on_lost=_leave, check=check)
    heartbeat.start()
    writer = store.writer(lease)
    try:
        return _run(store, writer, heartbeat, settings, connected)
    finally:
        heartbeat.stop()
        store.close()


def _leave() -> None:
    """The lease is another driver's: write nothing more, and take the workers along."""
    logger.warning("the lease is lost: this driver ends")
    os._exit(0)


def _check_head(settings: Settings, connected: threading.Event) -> None:
    """Ray waits a minute for a head that is gone; a new driver with a new head is back at work sooner."""
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
    try:
        writer.event("job.driver_crashed", {"traceback": message})
        writer.flush()
    except SearchsvcError as error:
        logger.error("the crash could not be stored: %s", error)


def _run_job(
    store: Store, writer: JobWriter, heartbeat: Heartbeat, settings: Settings, connected: threading.Event
) -> None:
    """What takes long to import is imported only now, where it was not in advance: the heart has to beat by then."""
    from searchsvc.service.planning.resolve import resolve

    address = cluster.ensure(settings)
    from workers.driver import connection

    with ThreadPoolExecutor(1) as pool:  # the dataset is looked at while Ray is connected to
        blueprint = pool.submit(resolve, heartbeat.job.spec, trusted=True, settings=settings, store=store)
        with connection.to_ray(address):
            connected.set()
            logger.info("connected to Ray at %s", address)
            from workers.driver.job import JobRun

            JobRun(store, writer, heartbeat, settings, blueprint.result()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

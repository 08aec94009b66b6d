"""The time until the first trial of a new job starts, and until work continues after kill -9 of the driver.

A driver on standby, which is the default, is compared with a controller that keeps none. Both run in turn, on one
database and one local Ray. `python -m benchmarks.recovery` is the controller without standby.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.report import Row
from searchsvc.controller.controller import Controller
from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.driving import a_spec
from tests.support.system import System, wait_for

ROUNDS, KILLS = 3, 2
QUIET_SECONDS = 12.0
"""Pause before each measurement: longer than the next driver needs to be on standby."""
MOST_SECONDS = 10.0
SPEC: dict[str, Any] = {"trials": 1000, "epochs": 8, "seconds": 0.3, "resources": {"attempts": 100, "concurrency": 2}}


def run() -> list[Row]:
    starts: dict[bool, list[float]] = {True: [], False: []}
    kills: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        system = System(Path(folder, "data"), f"sqlite:///{folder}/store.db")
        try:
            system.start_api()
            for turn in range(ROUNDS):
                for standby in (True, False) if turn % 2 else (False, True):
                    start, after_kills = _round(system, standby)
                    starts[standby].append(start)
                    kills[standby] += after_kills
                    print(f"round {turn + 1}, standby {standby}: {start:.2f}, {after_kills}", file=sys.stderr)
        finally:
            system.stop()
    return [
        _row("a job's submission until its first trial starts", starts, None),
        _row("kill -9 of the driver until work goes on", kills, MOST_SECONDS),
    ]


def _row(what: str, seconds: dict[bool, list[float]], bound: float | None) -> Row:
    ours, reference = statistics.median(seconds[True]), statistics.median(seconds[False])
    shown = (f"{ours:.2f} s", f"{reference:.2f} s  without standby")
    holds = None if bound is None else ours <= bound
    return Row(what, *shown, ours / reference, "" if bound is None else f"<= {bound:g} s", holds)


def _round(system: System, standby: bool) -> tuple[float, list[float]]:
    """Return the seconds until a new job's first trial starts, and until work continues after each kill."""
    if standby:
        system.start_controller()
    else:
        system.start("controller", program=[sys.executable, "-m", "benchmarks.recovery"])
    time.sleep(QUIET_SECONDS)
    job = system.submit(a_spec(**SPEC))
    start = system.seconds_until_work(job.id, after=0, claimed_anew=True)
    after_kills = [_kill(system, job) for _ in range(KILLS)]
    with system.client() as client:
        client.post(f"/jobs/{job.id}:cancel")
    wait_for(lambda: system.store.job(job.id).state.is_final, seconds=30, message="the job does not end")
    system.kill("controller")
    return start, after_kills


def _kill(system: System, job: Job) -> float:
    time.sleep(QUIET_SECONDS)
    [driver] = system.drivers(job.id)
    after, began = system.store.last_sequence(), time.monotonic()
    driver.kill()
    system.seconds_until_work(job.id, after=after, claimed_anew=True)
    return round(time.monotonic() - began, 2)


def _without_standby() -> None:
    settings = Settings()
    service = Service(Store.open(settings.database_url), settings)
    Controller(service, standby_command=None, stop_cluster=None).run(threading.Event())


if __name__ == "__main__":
    _without_standby()

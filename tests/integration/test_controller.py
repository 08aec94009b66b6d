"""The controller with drivers that train nothing: crashes, kills, restarts, several controllers on a database."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from searchsvc.controller.controller import Controller
from searchsvc.domain import Job, JobSpec, JobState, Lease
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store

ROOT = Path(__file__).parents[2]
ON_STANDBY = """
import json, os, sys
from tests.support.fake_driver import main

print(os.getpid(), flush=True)
if line := sys.stdin.readline():
    given = json.loads(line)
    sys.exit(main(given["job"], given["epoch"], "run"))
"""


@pytest.fixture
def service(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    with _service(sqlite_url, tmp_path) as made:
        yield made


@pytest.fixture
def any_service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    """A service on each kind of database."""
    with _service(database_url, tmp_path) as made:
        yield made


@contextlib.contextmanager
def _service(url: str, tmp_path: Path) -> Iterator[Service]:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=url,
        lease_seconds=1.5,
        heartbeat_seconds=0.1,
        poll_seconds=0.05,
        cancel_seconds=1.0,
        restarts=3,
    ).prepare()
    store = Store.open(url)
    yield Service(store, settings)
    for _, _, pid in _starts(settings):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    store.close()


def _submit(service: Service, name: str = "job") -> Job:
    spec = JobSpec.parse(
        {
            "name": name,
            "task": "classification",
            "dataset": {"name": "digits"},
            "space": {"name": "mbconv-small"},
            "objectives": [{"metric": "accuracy"}],
            "algorithm": {"name": "random"},
            "budget": {"trials": 4},
        }
    )
    return service.store.create_job(spec)[0]


def _controller(service: Service, behaviour: str, *, standby: bool = False) -> Controller:
    def command(lease: Lease) -> list[str]:
        return [sys.executable, "-m", "tests.support.fake_driver", lease.job_id, str(lease.epoch), behaviour]

    waiting = [sys.executable, "-c", ON_STANDBY] if standby else None
    return Controller(service, command=command, standby_command=waiting, stop_cluster=None)


@contextlib.contextmanager
def _running(service: Service, behaviour: str, *, leave_drivers: bool = False, standby: bool = False) -> Iterator[None]:
    stop = threading.Event()
    controller = _controller(service, behaviour, standby=standby)
    controller.leave_drivers = leave_drivers
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def _starts(settings: Settings) -> list[tuple[str, int, int]]:
    path = settings.data_dir / "starts"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(job, int(epoch), int(pid)) for job, epoch, pid in map(str.split, lines)]


def _waiting(settings: Settings) -> list[int]:
    """Return all drivers that have been on standby."""
    log = settings.logs_dir / "standby.log"
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def _wait(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def _wait_for_state(service: Service, job: Job, state: JobState) -> Job:
    _wait(lambda: service.store.job(job.id).state is state)
    return service.store.job(job.id)


def _wait_for_heartbeat(service: Service, job: Job, more_than: float = 0.0) -> None:
    _wait(lambda: service.store.job(job.id).seconds_used > more_than)


def _wait_for_standby(service: Service, number: int) -> None:
    _wait(lambda: len(_waiting(service.settings)) == number)


def _is_alive(pid: int) -> bool:
    """Return whether a process lives. A child of ours that ended, but was not waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_crashed_driver_is_started_again_under_a_new_epoch(service: Service) -> None:
    job = _submit(service)
    with _running(service, "crash-once"):
        _wait_for_state(service, job, JobState.SUCCEEDED)
    assert [(one, epoch) for one, epoch, _ in _starts(service.settings)] == [(job.id, 1), (job.id, 2)]


def test_a_driver_that_only_crashes_is_given_up_with_the_tail_of_its_log(service: Service) -> None:
    job = _submit(service)
    with _running(service, "crash"):
        failed = _wait_for_state(service, job, JobState.FAILED)
    assert failed.reason is not None
    assert "3 crashes in a row: the driver ended with exit code 3\nboom in epoch 3" in failed.reason
    assert len(_starts(service.settings)) == 3
    assert "boom in epoch 1" in service.jobs.log(job.id).text


def test_a_command_that_cannot_be_started_fails_the_job_with_the_reason(service: Service) -> None:
    job = _submit(service)
    nowhere = ["/nonexistent/python"]
    controller = Controller(service, command=lambda _: nowhere, standby_command=nowhere, stop_cluster=None)
    controller.run(threading.Event(), job_id=job.id)
    assert "cannot be started" in (service.store.job(job.id).reason or "")


def test_two_controllers_start_each_job_once(any_service: Service) -> None:
    service = any_service
    service.settings = replace(service.settings, lease_seconds=15.0)  # none is late
    jobs = [_submit(service, f"job-{number}") for number in range(6)]
    with _running(service, "finish"), _running(service, "finish"):
        for job in jobs:
            _wait_for_state(service, job, JobState.SUCCEEDED)
    assert sorted((job, epoch) for job, epoch, _ in _starts(service.settings)) == sorted((job.id, 1) for job in jobs)


def test_jobs_start_in_their_order_and_never_more_than_there_is_room_for(service: Service) -> None:
    service.settings = replace(service.settings, max_drivers=1)
    jobs = [_submit(service, f"job-{number}") for number in range(3)]
    most = 0
    with _running(service, "finish"):
        while any(not service.store.job(job.id).state.is_final for job in jobs):
            most = max(most, len(service.store.leases()))
            time.sleep(0.02)
    assert most == 1
    assert [job for job, _, _ in _starts(service.settings)] == [job.id for job in jobs]


def test_a_driver_outlives_its_killed_controller_and_is_replaced_once_it_dies(service: Service) -> None:
    job = _submit(service)
    first = _controller_process(service)
    _wait_for_heartbeat(service, job)
    first.kill()
    first.wait()
    with _running(service, "finish"):
        used = service.store.job(job.id).seconds_used
        _wait_for_heartbeat(service, job, more_than=used + 1.0)
        [(_, _, pid)] = _starts(service.settings)
        os.kill(pid, signal.SIGKILL)
        _wait_for_state(service, job, JobState.SUCCEEDED)
    assert [epoch for _, epoch, _ in _starts(service.settings)] == [1, 2]


def _controller_process(service: Service) -> subprocess.Popen[bytes]:
    code = """
import sys, threading
from searchsvc.controller.controller import Controller
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
settings = Settings()
command = lambda lease: [sys.executable, "-m", "tests.support.fake_driver", lease.job_id, str(lease.epoch), "run"]
service = Service(Store.open(settings.database_url), settings)
Controller(service, command=command, standby_command=None).run(threading.Event())
"""
    return subprocess.Popen([sys.executable, "-c", code], env=service.settings.environment(), cwd=ROOT)


def test_a_paused_job_stays_paused_through_restarts_of_the_controller(service: Service) -> None:
    job = _submit(service)
    with _running(service, "run"):
        _wait_for_heartbeat(service, job)
        service.jobs.pause(job.id)
        _wait_for_state(service, job, JobState.PAUSED)
    others = [_submit(service, f"another-{number}") for number in range(2)]
    for other in others:  # a controller that has run a later job has also seen the paused job
        with _running(service, "finish"):
            _wait_for_state(service, other, JobState.SUCCEEDED)
    assert service.store.job(job.id).state is JobState.PAUSED
    assert [job_id for job_id, _, _ in _starts(service.settings)].count(job.id) == 1


def test_a_pause_is_carried_out_although_the_driver_that_should_do_it_is_killed(service: Service) -> None:
    job = _submit(service)
    with _running(service, "deaf"):
        _wait_for_heartbeat(service, job)
        service.jobs.pause(job.id)
        os.kill(_starts(service.settings)[0][2], signal.SIGKILL)
        _wait_for_state(service, job, JobState.PAUSED)
    assert len(_starts(service.settings)) == 1


def test_a_cancellation_that_the_driver_ignores_is_carried_out_and_the_driver_killed(service: Service) -> None:
    job = _submit(service)
    with _running(service, "deaf"):
        _wait_for_heartbeat(service, job)
        service.jobs.cancel(job.id)
        _wait_for_state(service, job, JobState.CANCELLED)
        _wait(lambda: not _is_alive(_starts(service.settings)[0][2]))


@pytest.mark.parametrize("how", ["freeze", "freeze-in-write"])
@pytest.mark.parametrize("max_drivers", [1, 4])
def test_a_driver_that_freezes_is_killed_and_replaced_even_by_a_full_controller(
    service: Service, how: str, max_drivers: int
) -> None:
    """In a write, it holds the lock of SQLite, so that nothing can be written until it is killed."""
    service.settings = replace(service.settings, max_drivers=max_drivers)
    job = _submit(service)
    with _running(service, how):
        _wait_for_state(service, job, JobState.SUCCEEDED)
        _wait(lambda: not _is_alive(_starts(service.settings)[0][2]))
    assert [epoch for _, epoch, _ in _starts(service.settings)] == [1, 2]


def test_a_controller_that_ends_asks_its_drivers_to_end_and_leaves_the_jobs_to_the_next_one(service: Service) -> None:
    job = _submit(service)
    with _running(service, "run"):
        _wait_for_heartbeat(service, job)
    assert not _is_alive(_starts(service.settings)[0][2])
    assert service.store.job(job.id).state is JobState.RUNNING
    assert service.store.leases() == []
    with _running(service, "finish"):
        _wait_for_state(service, job, JobState.SUCCEEDED)


def test_a_service_that_restarts_leaves_its_drivers_at_work(service: Service) -> None:
    job = _submit(service)
    with _running(service, "run", leave_drivers=True):
        _wait_for_heartbeat(service, job)
    assert _is_alive(_starts(service.settings)[0][2])
    _wait_for_heartbeat(service, job, more_than=service.store.job(job.id).seconds_used)


def test_a_driver_on_standby_gets_the_next_job_and_another_one_takes_its_place(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchsvc.controller.launcher.STANDBY_SECONDS", 0.2)
    with _running(service, "crash", standby=True):
        for number in (1, 2):
            _wait_for_standby(service, number)
            job = _submit(service, f"job {number}")
            _wait_for_heartbeat(service, job)
        _wait_for_standby(service, 3)
        assert [pid for _, _, pid in _starts(service.settings)] == _waiting(service.settings)[:2]
    assert not any(map(_is_alive, _waiting(service.settings)))


def test_a_driver_that_dies_is_replaced_by_the_one_on_standby(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchsvc.controller.launcher.STANDBY_SECONDS", 0.2)
    job = _submit(service)
    with _running(service, "run", standby=True):
        _wait_for_heartbeat(service, job)
        _wait_for_standby(service, 1)
        os.kill(_starts(service.settings)[0][2], signal.SIGKILL)
        _wait(lambda: len(_starts(service.settings)) == 2)
        _wait_for_heartbeat(service, job, more_than=service.store.job(job.id).seconds_used)
    assert [(epoch, pid) for _, epoch, pid in _starts(service.settings)][1] == (2, _waiting(service.settings)[0])


@pytest.mark.parametrize("leave_drivers", [False, True])
def test_the_local_ray_ends_with_the_controller_unless_a_driver_is_still_at_work(
    service: Service, leave_drivers: bool, tmp_path: Path
) -> None:
    job, stopped = _submit(service), tmp_path / "stopped"
    controller = _controller(service, "run")
    controller.stop_cluster = [sys.executable, "-c", f"open({str(stopped)!r}, 'w')"]
    controller.leave_drivers = leave_drivers
    stop = threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,))
    thread.start()
    _wait_for_heartbeat(service, job)
    stop.set()
    thread.join(30)
    assert stopped.exists() is not leave_drivers
    assert _is_alive(_starts(service.settings)[0][2]) is leave_drivers


def test_a_controller_of_one_job_leaves_the_others_alone_and_returns_when_it_has_ended(service: Service) -> None:
    other, job = _submit(service, "other"), _submit(service)
    _controller(service, "finish").run(threading.Event(), job_id=job.id)
    assert service.store.job(job.id).state is JobState.SUCCEEDED
    assert service.store.job(other.id).state is JobState.QUEUED

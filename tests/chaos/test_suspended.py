"""SIGSTOP of drivers and controllers beyond the lease, and SIGCONT afterwards: no job is lost, none is run twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from searchsvc.domain import Job
from tests.support.driving import a_spec
from tests.support.guarantees import assert_nothing_lost_and_nothing_twice, assert_proposals_as_if_undisturbed
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
TRIALS, EPOCHS = 6, 6


@pytest.fixture
def sqlite_system(sqlite_url: str, start_system: Callable[[str], System]) -> System:
    return start_system(sqlite_url)


def begin(system: System, controller: str = "controller", *, max_drivers: int = 1) -> Job:
    """Start a controller, and a job that it runs."""
    system.environment["SEARCHSVC_MAX_DRIVERS"] = str(max_drivers)
    limits = {"attempts": 20, "concurrency": 1}
    job = system.submit(a_spec(trials=TRIALS, epochs=EPOCHS, seconds=0.3, resources=limits, seed=3))
    system.start_controller(controller)
    system.seconds_until_work(job.id, after=0, claimed_anew=True)
    return job


def suspend(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def wake(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def wait_for_leases(system: System, job: Job, number: int) -> None:
    """Wait until the driver of the job has been at work for so many leases."""
    until = system.store.job(job.id).seconds_used + number * system.settings.lease_seconds
    wait_for(
        lambda: system.store.job(job.id).seconds_used > until or system.store.job(job.id).state.is_final,
        seconds=60,
        message="the driver does not renew its lease",
    )


def claims(system: System, job: Job) -> list[int]:
    return [event.data["epoch"] for event in system.events(job.id, "job.claimed")]


def finish(system: System, job: Job) -> None:
    wait_for(lambda: system.store.job(job.id).state.is_final, seconds=120, message="the job does not end")
    assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=TRIALS, epochs=EPOCHS)
    assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)


@pytest.mark.timeout(240)
def test_a_suspended_driver_is_replaced_by_its_full_controller(sqlite_system: System) -> None:
    system = sqlite_system
    job = begin(system)
    [driver] = wait_for(lambda: system.drivers(job.id), seconds=30, message="no driver runs")
    suspend(driver.pid)
    wait_for(lambda: len(claims(system, job)) == 2, seconds=60, message="the driver is not replaced")
    assert not driver.is_running()
    finish(system, job)
    assert claims(system, job) == [1, 2]


@pytest.mark.timeout(240)
def test_a_suspended_controller_costs_its_drivers_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    job = begin(system)
    suspend(system.pid("controller"))
    wait_for_leases(system, job, 2)
    wake(system.pid("controller"))
    wait_for_leases(system, job, 1)
    finish(system, job)
    assert claims(system, job) == [1]


@pytest.mark.postgres
@pytest.mark.timeout(240)
def test_a_job_whose_controller_and_driver_are_suspended_is_taken_over_and_never_given_back(system: System) -> None:
    job = begin(system, "first")
    [driver] = wait_for(lambda: system.drivers(job.id), seconds=30, message="no driver runs")
    suspend(system.pid("first"))
    system.start_controller("second")
    wait_for_leases(system, job, 2)
    assert claims(system, job) == [1]  # its driver lives
    suspend(driver.pid)
    wait_for(lambda: len(claims(system, job)) == 2, seconds=60, message="the job is not taken over")
    for pid in (driver.pid, system.pid("first")):
        wake(pid)
    wait_for(lambda: not driver.is_running(), seconds=60, message="the driver that lost its job does not end")
    finish(system, job)
    assert claims(system, job) == [1, 2]
    holders = [event.data["holder"].split(":")[1] for event in system.events(job.id, "job.claimed")]
    assert holders == [str(system.pid("first")), str(system.pid("second"))]

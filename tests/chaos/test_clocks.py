"""Machines whose clocks are wrong: a living driver keeps its job, and the job of a dead driver is taken over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from searchsvc.domain import Job
from tests.support.driving import a_spec
from tests.support.guarantees import (
    assert_each_claim_ends_the_attempts_before_it,
    assert_nothing_lost_and_nothing_twice,
    assert_proposals_as_if_undisturbed,
)
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(480)]
TRIALS, EPOCHS = 10, 6
WRONG = """
import os, time

_right, _seconds = time.time, float(os.environ.get("CLOCK_IS_AHEAD_BY", "0"))
time.time = lambda: _right() + _seconds
"""
"""A module that every Python process of the service imports when it starts."""


def claims(system: System, job: Job) -> list[int]:
    return [event.data["epoch"] for event in system.events(job.id, "job.claimed")]


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_wrong_clock_neither_takes_a_job_nor_keeps_it(
    ahead: int, sqlite_url: str, start_system: Callable[..., System]
) -> None:
    system = start_system(sqlite_url)
    (system.settings.data_dir / "packages" / "sitecustomize.py").write_text(WRONG)
    limits = {"attempts": 20, "concurrency": 1}
    job = system.submit(a_spec(trials=TRIALS, epochs=EPOCHS, seconds=0.3, resources=limits))
    right = dict(system.environment)
    system.environment["CLOCK_IS_AHEAD_BY"] = str(ahead)
    system.start_controller("wrong")
    system.seconds_until_work(job.id, after=0, claimed_anew=True)
    system.environment = right
    system.start_controller("right")
    until = system.store.job(job.id).seconds_used + 2 * system.settings.lease_seconds
    wait_for(lambda: system.store.job(job.id).seconds_used > until, seconds=60, message="the driver does not go on")
    assert claims(system, job) == [1]
    [driver] = system.drivers(job.id)
    system.kill("wrong")
    driver.kill()
    wait_for(lambda: len(claims(system, job)) == 2, seconds=60, message="the job is not taken over")
    wait_for(lambda: system.store.job(job.id).state.is_final, seconds=120, message="the job does not end")
    assert claims(system, job) == [1, 2]
    events = system.events(job.id)
    started = [event.at for event in events if event.kind == "trial.started"]
    assert abs(started[0] - started[-1]) > abs(ahead) / 2, "both drivers had the same clock"
    assert_each_claim_ends_the_attempts_before_it(events)
    assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=TRIALS, epochs=EPOCHS)
    assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)

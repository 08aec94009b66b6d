"""Requests of a user for a running job: pause, resume, stop, cancel, extend, retry."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psutil
import pytest

from searchsvc.domain import Budget, JobState, TrialState
from tests.support.driving import Rig, a_spec, assert_complete

LONG_EPOCHS = {"epochs": 3, "seconds": 1.0}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def test_a_paused_job_goes_on_from_its_checkpoints(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=4, **LONG_EPOCHS))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 3)
    rig.store.pause_job(job.id)
    assert rig.finish(driver, job).state is JobState.PAUSED
    open_trials = [trial for trial in rig.trials(job) if not trial.state.is_final]
    assert {trial.state for trial in open_trials} == {TrialState.QUEUED}
    rig.store.resume_job(job.id)
    assert_complete(rig, rig.finish(rig.start(job), job), trials=4, epochs=3)
    attempts = [one for trial in open_trials for one in rig.store.attempts(trial.id)]
    assert {one.message for one in attempts if one.state is TrialState.CANCELLED} == {"paused"}


def test_a_stopped_job_lets_running_trials_finish_and_starts_no_more(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=50, **LONG_EPOCHS))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 2)
    rig.store.stop_job(job.id)
    assert rig.finish(driver, job).state is JobState.SUCCEEDED
    assert {trial.state for trial in rig.trials(job)} == {TrialState.SUCCEEDED}
    assert len(rig.trials(job)) <= 4


def test_a_cancelled_job_ends_at_once_and_takes_its_workers_along(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=50, epochs=2, seconds=600.0))
    driver = rig.start(job)
    running = rig.wait(lambda: [one for one in rig.trials(job) if one.state is TrialState.RUNNING])
    pids = [rig.store.attempts(one.id)[0].pid for one in running]
    rig.store.cancel_job(job.id)
    assert rig.finish(driver, job).state is JobState.CANCELLED  # long before an epoch ends
    assert rig.store.job_measurements(job.id, after=0, limit=1) == []
    assert {trial.state for trial in rig.trials(job)} == {TrialState.CANCELLED}
    rig.wait(lambda: not any(pid is not None and psutil.pid_exists(pid) for pid in pids))


def test_a_driver_that_is_asked_to_end_gives_the_job_back(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=3, **LONG_EPOCHS))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 1)
    driver.send_signal(signal.SIGTERM)
    assert rig.finish(driver, job).state is JobState.QUEUED
    assert rig.store.leases() == []
    assert_complete(rig, rig.finish(rig.start(job), job), trials=3, epochs=3)


def test_a_running_job_takes_up_more_budget(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=2, **LONG_EPOCHS))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 1)
    rig.store.extend_job(job.id, Budget(trials=4))
    assert_complete(rig, rig.finish(driver, job), trials=4, epochs=3)


def test_an_ended_job_goes_on_with_more_budget(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=1))
    rig.store.extend_job(job.id, Budget(trials=3))
    assert_complete(rig, rig.finish(rig.start(job), job), trials=3, epochs=1)


def test_failed_trials_that_are_retried_get_their_attempts_anew(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1, fate="crash", strikes=3, resources={"attempts": 2}))
    assert job.state is JobState.FAILED
    rig.store.retry_job(job.id)
    job = rig.finish(rig.start(job), job)
    assert_complete(rig, job, trials=1, epochs=3)
    assert rig.trials(job)[0].attempts == 4


def test_a_driver_that_lost_its_lease_ends_and_writes_nothing_more(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=3, **LONG_EPOCHS))
    first = rig.start(job)
    rig.wait_for_measurements(job, 1)
    second = rig.start(job)  # under a new claim, while the first one lives
    assert first.wait(10) == 0
    assert_complete(rig, rig.finish(second, job), trials=3, epochs=3)

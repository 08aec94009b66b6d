"""The life of jobs under every verb, kill, lost lease and delete, in any order, with a real store and controllers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.domain import Job, JobState, TrialState
from tests.support.job_world import JobWorld, opened_world

P, R, S = JobState.PAUSED, JobState.RUNNING, JobState.STOPPING
OK, GONE = JobState.SUCCEEDED, JobState.CANCELLED


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[JobWorld]:
    with opened_world(sqlite_url, tmp_path) as opened:
        yield opened


def a_running_job(world: JobWorld) -> Job:
    job = world.submit()
    world.turn(world.controllers[0] if world.controllers else world.start_controller())
    world.driver_of(job.id).move()
    assert world.store.job(job.id).state is R
    return job


def test_a_cancel_ends_a_stopping_job_whose_driver_is_killed_and_other_jobs_go_on(world: JobWorld) -> None:
    job = a_running_job(world)
    other = world.submit()
    world.store.stop_job(job.id)
    world.store.cancel_job(job.id)
    world.driver_of(job.id).kill()
    world.rest()
    assert (world.store.job(job.id).state, world.store.job(other.id).state) == (GONE, OK)
    assert world.store.leases() == []


@pytest.mark.parametrize(
    ("verbs", "state"), [("cancel", GONE), ("stop cancel", GONE), ("pause", P), ("pause cancel", GONE)]
)
@pytest.mark.parametrize("loss", ["killed", "frozen", "killed with its controller", "frozen without its controller"])
def test_a_request_is_carried_out_whatever_is_lost_before(
    world: JobWorld, verbs: str, state: JobState, loss: str
) -> None:
    job = a_running_job(world)
    for verb in verbs.split():
        getattr(world.store, f"{verb}_job")(job.id)
    driver = world.driver_of(job.id)
    if "controller" in loss:
        world.kill_controller(world.controllers[0])
    if "killed" in loss:
        driver.kill()
    else:
        driver.is_frozen = True
    world.rest()
    assert world.store.job(job.id).state is state
    driver.is_frozen = False
    driver.move()  # a zombie changes nothing
    assert world.store.job(job.id).state is state


@pytest.mark.parametrize(("verb", "state"), [("cancel", GONE), ("stop", OK), ("pause", OK)])
def test_a_verb_between_the_last_look_of_a_driver_and_its_end_is_not_lost(
    world: JobWorld, verb: str, state: JobState
) -> None:
    job = a_running_job(world)
    driver = world.driver_of(job.id)
    while sum(one.state is TrialState.SUCCEEDED for one in world.store.all_trials(job.id)) < 2:
        driver.beat()
        driver.work()
    driver.beat()
    getattr(world.store, f"{verb}_job")(job.id)
    driver.conclude()
    assert world.store.job(job.id).state is state


def test_a_stopping_job_that_gives_way_to_a_restart_ends_with_its_running_trials(world: JobWorld) -> None:
    job = a_running_job(world)
    driver = world.driver_of(job.id)
    while not any(one.state is TrialState.RUNNING for one in world.store.all_trials(job.id)):
        driver.move()
    world.store.stop_job(job.id)
    world.end_controller(world.controllers[0])
    assert world.store.job(job.id).state is S
    assert [one.state for one in world.store.all_trials(job.id)] == [TrialState.QUEUED]
    world.rest()
    assert world.store.job(job.id).state is OK

"""A pause is a fact in the store: it outlives every process."""

from __future__ import annotations

from functools import partial

import pytest

from searchsvc.domain import Job, JobState
from tests.support.driving import a_spec
from tests.support.guarantees import assert_nothing_lost_and_nothing_twice, assert_proposals_as_if_undisturbed
from tests.support.postgres import PostgresServer
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.postgres]


@pytest.mark.timeout(180)
def test_a_paused_job_stays_paused_through_restarts(system: System, postgres_server: PostgresServer) -> None:
    job = system.submit(a_spec(trials=8, epochs=4, seconds=0.3, algorithm={"name": "evolution"}))
    system.start_controller()
    system.seconds_until_work(job.id, after=0, claimed_anew=True)
    with system.client() as client:
        client.post(f"/jobs/{job.id}:pause")
    wait_for(lambda: system.store.job(job.id).state is JobState.PAUSED, seconds=20, message="the job is not paused")
    paused = system.store.last_sequence()
    for _ in range(2):
        system.kill("controller")
        system.kill("api")
        postgres_server.restart()
        system.start_controller()
        system.start_api()
        other = system.submit(
            a_spec(trials=1, epochs=1)
        )  # a controller that has run a later job has also seen the paused job
        ended = partial(_has_ended, system, other)
        wait_for(ended, seconds=60, message="the other job does not end")
        assert system.store.job(job.id).state is JobState.PAUSED
        assert system.events(job.id, after=paused) == []
        assert system.drivers(job.id) == []
    with system.client() as client:
        client.post(f"/jobs/{job.id}:resume")
    wait_for(lambda: system.store.job(job.id).state.is_final, seconds=60, message="the job does not end")
    assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=8, epochs=4)
    assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)


def _has_ended(system: System, job: Job) -> bool:
    return system.store.job(job.id).state.is_final

"""A large job is deleted while others run: it costs none of them its driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from searchsvc.domain import JobState
from searchsvc.store import Store
from searchsvc.store.database import Database
from tests.support.driving import a_spec
from tests.support.guarantees import (
    assert_each_claim_ends_the_attempts_before_it,
    assert_nothing_lost_and_nothing_twice,
    assert_proposals_as_if_undisturbed,
)
from tests.support.jobs import a_claimed_job, add_trials
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]
LARGE, STEPS = 2_000, 60
"""Trials of the large job, and measurements of each."""
TRIALS, EPOCHS = 8, 6
_STEPS = f"WITH RECURSIVE steps(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM steps WHERE step < {STEPS})"
_FILL = (
    f"""INSERT INTO measurements (job_id, trial_id, trial_number, step, metrics, seconds) {_STEPS}
    SELECT job_id, id, number, steps.step, '{{"score": 0.5}}', 1.0 FROM trials CROSS JOIN steps""",
    f"""INSERT INTO events (job_id, trial_id, kind, data, at) {_STEPS}
    SELECT job_id, id, 'trial.measured', '{{"step": 1}}', 1.0 FROM trials CROSS JOIN steps""",
)


def a_large_job(store: Store, database: Database) -> str:
    """Return the id of a paused job with as many measurements and events as a long search has."""
    job, lease = a_claimed_job(store, name="large")
    add_trials(store, lease, LARGE)
    store.pause_job(job.id)
    writer = store.writer(lease)
    writer.finish_job(JobState.PAUSED)
    writer.flush()
    for statement in _FILL:
        database.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))
    return job.id


def rows(database: Database, job_id: str) -> int:
    query = text("SELECT count(*) FROM measurements WHERE job_id = :job_id")
    return int(database.read(lambda connection: connection.execute(query, {"job_id": job_id}).scalar_one()))


def test_the_deletion_of_a_large_job_costs_no_other_job_its_driver(
    database_url: str, start_system: Callable[..., System]
) -> None:
    system = start_system(database_url)
    database = Database(database_url, wait_seconds=60)
    large = a_large_job(system.store, database)
    assert rows(database, large) == LARGE * STEPS
    limits = {"attempts": 20, "concurrency": 1, "cpu": 0.5}  # room for both jobs at once
    spec = a_spec(trials=TRIALS, epochs=EPOCHS, seconds=0.3, resources=limits)
    jobs = [system.submit(spec) for _ in range(2)]
    system.start_controller()
    for job in jobs:
        system.seconds_until_work(job.id, after=0, claimed_anew=True)
    with system.client() as client:
        client.delete(f"/jobs/{large}")
        assert [one["id"] for one in client.items("/jobs") if one["id"] == large] == []
    wait_for(lambda: rows(database, large) == 0, seconds=300, message="the rows of the deleted job are not removed")
    for job in jobs:
        wait_for(lambda job=job: system.store.job(job.id).state.is_final, seconds=120, message=f"{job.id} does not end")
        assert [event.data["epoch"] for event in system.events(job.id, "job.claimed")] == [1]
        assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=TRIALS, epochs=EPOCHS)
        assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)
        assert_each_claim_ends_the_attempts_before_it(system.events(job.id))
    database.close()

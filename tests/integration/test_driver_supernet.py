"""Searches with shared weights on a real local Ray: a supernet first, then the finalists that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from searchsvc.domain import FailureKind, Job, JobState, Trial, TrialKind, TrialState
from tests.support.driving import Rig, a_spec

EPOCHS = 4
"""Epochs of a supernet: twice those of a trial."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def a_shared_spec(*, trials: int = 4, finalists: int = 3, **changes: Any) -> dict[str, Any]:
    algorithm = {"name": "autohas", "finalists": finalists, "basis_values": 3}
    return a_spec(task="sharing", trials=trials, epochs=2, algorithm=algorithm, **changes)


def parted(rig: Rig, job: Job) -> tuple[Trial, list[Trial]]:
    """Return the supernet and the finalists."""
    supernet, *others = rig.trials(job)
    assert supernet.proposal.kind is TrialKind.SUPERNET
    assert {one.proposal.kind for one in others} <= {TrialKind.CANDIDATE}
    return supernet, others


def named(rig: Rig, supernet: Trial) -> list[float]:
    """Return x of the finalists, the best first."""
    metrics = rig.store.measurements(supernet.id)[-1].metrics
    return [metrics[f"finalist/{rank}/x"] for rank in range(3)]


def test_a_job_trains_its_supernet_and_then_as_many_finalists_as_its_budget_leaves(rig: Rig) -> None:
    job = rig.run(a_shared_spec(trials=3))
    supernet, finalists = parted(rig, job)
    assert job.state is JobState.SUCCEEDED
    assert (supernet.state, supernet.step, dict(supernet.values)) == (TrialState.SUCCEEDED, EPOCHS, {})
    assert [one.values["x"] for one in finalists] == named(rig, supernet)[:2]
    assert {one.state for one in finalists} == {TrialState.SUCCEEDED}
    assert supernet.finished_at is not None
    assert min(one.created_at for one in finalists) >= supernet.finished_at
    best = max(finalists, key=lambda one: one.values["x"])
    assert [one.number for one in rig.trials(job) if one.test_metrics is not None] == [best.number]


def test_what_limits_trials_does_not_limit_the_supernet(rig: Rig) -> None:
    stopping = {"name": "median", "min_epochs": 1, "min_trials": 1}
    job = rig.run(a_shared_spec(seconds=0.6, stopping=stopping, resources={"trial_seconds": 3.5}))
    supernet, finalists = parted(rig, job)
    assert (supernet.state, supernet.step) == (TrialState.SUCCEEDED, EPOCHS)
    assert supernet.seconds > 3.5
    assert all(one.state is not TrialState.FAILED for one in finalists)


def test_a_lost_worker_goes_on_with_the_supernet_from_its_checkpoint(rig: Rig) -> None:
    job = rig.run(a_shared_spec(supernet="crash", strikes=1))
    supernet, finalists = parted(rig, job)
    first, second = rig.store.attempts(supernet.id)
    assert (first.failure, second.state) == (FailureKind.LOST, TrialState.SUCCEEDED)
    assert [one.step for one in rig.store.measurements(supernet.id)] == [1, 2, 3, 4]
    assert len(finalists) == 3


def test_a_failed_supernet_fails_the_job_and_leads_to_its_finalists_when_it_is_retried(rig: Rig) -> None:
    job = rig.run(a_shared_spec(supernet="error", strikes=1))
    assert [one.failure for one in rig.trials(job)] == [FailureKind.ERROR]
    assert job.state is JobState.FAILED
    assert job.reason is not None
    assert job.reason.endswith("this network cannot be built")
    rig.store.retry_job(job.id)
    job = rig.finish(rig.start(job), job)
    supernet, finalists = parted(rig, job)
    assert (job.state, supernet.state, supernet.attempts) == (JobState.SUCCEEDED, TrialState.SUCCEEDED, 2)
    assert [one.values["x"] for one in finalists] == named(rig, supernet)


def test_a_job_that_is_cancelled_in_its_supernet_trains_another_when_it_is_extended(rig: Rig) -> None:
    job = rig.submit(a_shared_spec(seconds=0.3))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 1)
    rig.store.cancel_job(job.id)
    assert rig.finish(driver, job).state is JobState.CANCELLED
    assert [one.state for one in rig.trials(job)] == [TrialState.CANCELLED]
    rig.store.extend_job(job.id, job.spec.budget.model_copy(update={"trials": 5}))
    rig.finish(rig.start(job), job)
    kinds = [one.proposal.kind for one in rig.trials(job)]
    assert kinds == [TrialKind.SUPERNET] * 2 + [TrialKind.CANDIDATE] * 3


@pytest.mark.chaos
def test_a_driver_that_is_killed_in_the_supernet_ends_with_the_same_finalists(rig: Rig) -> None:
    whole = rig.run(a_shared_spec(seed=5, seconds=0.0))
    job = rig.submit(a_shared_spec(seed=5, seconds=0.5))
    for measurements in (1, 2):
        driver = rig.start(job)
        rig.wait_for_measurements(job, measurements)
        rig.kill(driver)
    supernet, finalists = parted(rig, rig.finish(rig.start(job), job))
    assert [one.step for one in rig.store.measurements(supernet.id)] == [1, 2, 3, 4]
    assert [one.values["x"] for one in finalists] == [one.values["x"] for one in parted(rig, whole)[1]]
    assert {one.state for one in finalists} == {TrialState.SUCCEEDED}

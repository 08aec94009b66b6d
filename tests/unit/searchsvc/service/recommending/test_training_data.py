"""Training data: the results of a job after the same number of epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from searchsvc.domain import Job, Measurement, Outcome, TrialState
from searchsvc.errors import Conflict
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.recommending import training_data
from searchsvc.service.recommending.training_data import NEEDED, TrainingData
from searchsvc.service.service import Service
from searchsvc.spaces import Float, Space
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job, add_trials

WANTED = ("accuracy",)


def seen(service: Service, job: Job) -> TrainingData:
    space = resolve(job.spec, trusted=True, settings=service.settings).space
    return training_data.training_data(service.store, job, space, WANTED)


def job_with_curves(store: Store, curves: list[list[float]], **changes: Any) -> Job:
    """Return a job with trials that end at the end of their accuracy curve."""
    job, lease = a_claimed_job(store, objectives=[{"metric": "accuracy"}], **changes)
    writer = store.writer(lease)
    for position, (trial_id, curve) in enumerate(zip(add_trials(store, lease, len(curves)), curves, strict=True)):
        writer.start_attempt(trial_id, 1, "node", 1, 0.0)
        best = Measurement(1, {"accuracy": -1.0}, 0.0)
        for step, accuracy in enumerate(curve, 1):
            measured = Measurement(step, {"accuracy": accuracy}, float(step))
            best = max(best, measured, key=lambda one: one.metrics["accuracy"])
            writer.measure(trial_id, measured, best)
        writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED if len(curve) > 3 else TrialState.STOPPED), position)
    writer.flush()
    return job


SPACE = Space([Float("lr", 0.0, 1.0), Float("number", 0.0, 100.0)])


def test_values_are_those_at_the_last_epoch_that_half_of_the_trials_reached(service: Service) -> None:
    curves = [[0.1, 0.2, 0.9, 0.95]] * 3 + [[0.3, 0.25]] * 9 + [[0.5]] * 4
    data = training_data.training_data(service.store, job_with_curves(service.store, curves), SPACE, WANTED)
    assert data.epoch == 2
    assert [one["accuracy"] for one in data.metrics] == [0.2] * 3 + [0.3] * 9  # the best up to that epoch
    assert data.matrix[:, 1].tolist() == list(range(12))


def test_failed_trials_say_nothing(service: Service, finished_job: Callable[..., Job]) -> None:
    data = seen(service, finished_job(20))
    assert len(data.trials) == len(data.matrix) == 16
    expected = [0.502 + 0.01 * trial.number for trial in data.trials]
    assert [one["accuracy"] for one in data.metrics] == pytest.approx(expected)
    assert all("flops" in one for one in data.metrics)


def test_too_few_results_are_counted_in_the_error(service: Service, finished_job: Callable[..., Job]) -> None:
    with pytest.raises(Conflict, match=f"has 4 trials with a result: to learn from them, {NEEDED} are needed"):
        seen(service, finished_job(5))


def test_of_many_trials_the_best_and_the_latest_are_looked_at(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "MOST", 20)
    job = job_with_curves(service.store, [[1.0 - number / 100] for number in range(30)])
    data = training_data.training_data(service.store, job, SPACE, WANTED)
    assert [one.number for one in data.trials] == [*range(10), *range(20, 30)]

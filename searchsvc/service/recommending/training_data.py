"""Training data: the results of a job that a predictor learns from, all measured after the same number of epochs.

Trials end at different epochs: some are stopped early, some are trained in full. Values after 2 and after 8 epochs
cannot be compared, so each trial counts with its best measurement up to a common epoch that many trials have reached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchsvc.domain import Job, Measurement, Trial, best_measurement
from searchsvc.errors import Conflict
from searchsvc.spaces import Matrix, Space
from searchsvc.store import Store

NEEDED = 8
"""The least number of trials with a result that a predictor is fitted to."""
MOST = 2000
"""The largest number of trials read from the store; if there are more, half are the best and half the latest trials."""
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Results of n trials."""

    trials: tuple[Trial, ...]
    matrix: Matrix
    """(n, d) their candidates."""
    metrics: tuple[Mapping[str, float], ...]
    """The costs of each trial, and its best measurement up to `epoch`."""
    epoch: int


def training_data(store: Store, job: Job, space: Space, required: Collection[str]) -> TrainingData:
    """Return the results so far of the trials that measured all metrics in `required`.

    Raises Conflict if there are too few of them.
    """
    results = [trial for trial in _latest_and_best(store, job) if _measured_all(trial, required)]
    if len(results) < NEEDED:
        message = f"job {job.name} has {len(results)} trials with a result: to learn from them, {NEEDED} are needed"
        raise Conflict(message)
    epoch = _common_epoch([trial.step for trial in results])
    trials = tuple(trial for trial in results if trial.step >= epoch)
    histories = _histories(store, job.id, {trial.number for trial in trials}, epoch)
    best = [best_measurement(histories[trial.number], job.spec.objectives[0]) for trial in trials]
    metrics = [
        {**trial.proposal.costs, **(measurement.metrics if measurement else {})}
        for trial, measurement in zip(trials, best, strict=True)
    ]
    matrix = space.to_matrix([trial.proposal.candidate for trial in trials])
    return TrainingData(trials, matrix, tuple(metrics), epoch)


def _measured_all(trial: Trial, required: Collection[str]) -> bool:
    """Return whether the trial is a candidate with a result that has all metrics in `required`."""
    return trial.is_search_result and set(required) <= (trial.metrics or {}).keys()


def _latest_and_best(store: Store, job: Job) -> list[Trial]:
    if sum(store.trial_counts(job.id).values()) <= MOST:
        return store.all_trials(job.id)
    best = store.best_trials(job.id, MOST // 2, then=job.spec.objectives[1:])
    latest = store.trials(job.id, newest_first=True, limit=MOST // 2)
    return sorted({trial.number: trial for trial in (*best, *latest)}.values(), key=lambda trial: trial.number)


def _common_epoch(steps: Sequence[int]) -> int:
    """Return the last epoch that half of the trials, and at least NEEDED of them, have reached."""
    enough = max(NEEDED, (len(steps) + 1) // 2)
    return int(np.sort(steps)[-enough])


def _histories(store: Store, job_id: str, numbers: set[int], epoch: int) -> Mapping[int, list[Measurement]]:
    """Return the measurements of each trial up to `epoch`, by trial number."""
    histories: defaultdict[int, list[Measurement]] = defaultdict(list)
    for number, measurement in _measurements(store, job_id):
        if number in numbers and measurement.step <= epoch:
            histories[number].append(measurement)
    return histories


def _measurements(store: Store, job_id: str) -> Iterator[tuple[int, Measurement]]:
    after = 0
    while page := store.job_measurements(job_id, after=after, limit=_PAGE):
        yield from ((number, measurement) for _, number, measurement in page)
        after = page[-1][0]

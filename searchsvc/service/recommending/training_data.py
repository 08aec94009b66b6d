"""Evidence: the results of a job as a predictor can learn from them, all measured after the same number of epochs.

Trials end at different epochs: some are stopped early, some are trained in full. A value after 2 epochs and one after 8
cannot be compared, so each trial counts with the best that it had measured up to one epoch that many have reached.
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
"""Results of fewer trials say too little."""
MOST = 2000
"""Of more trials than this, the best half and the latest half are looked at."""
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Results of n trials."""

    trials: tuple[Trial, ...]
    matrix: Matrix
    """(n, d) their candidates."""
    metrics: tuple[Mapping[str, float], ...]
    """Costs, and what was measured at the best step of each up to `epoch`."""
    epoch: int


def evidence(store: Store, job: Job, space: Space, wanted: Collection[str]) -> Evidence:
    """What the job has measured so far, of the trials that know all metrics in `wanted`.

    Raises Conflict where that is too little to learn from.
    """
    ended = [one for one in _looked_at(store, job) if _has(one, wanted)]
    if len(ended) < NEEDED:
        raise Conflict(f"job {job.name} has {len(ended)} trials with a result: to learn from them, {NEEDED} are needed")
    epoch = _common_epoch([one.step for one in ended])
    trials = tuple(one for one in ended if one.step >= epoch)
    histories = _histories(store, job.id, {one.number for one in trials}, epoch)
    best = [best_measurement(histories[one.number], job.spec.objectives[0]) for one in trials]
    metrics = [
        {**trial.proposal.costs, **(one.metrics if one else {})} for trial, one in zip(trials, best, strict=True)
    ]
    return Evidence(trials, space.to_matrix([one.proposal.candidate for one in trials]), tuple(metrics), epoch)


def _has(trial: Trial, wanted: Collection[str]) -> bool:
    """Whether it is a candidate with a result that knows all metrics in `wanted`."""
    return trial.is_search_result and set(wanted) <= (trial.metrics or {}).keys()


def _looked_at(store: Store, job: Job) -> list[Trial]:
    if sum(store.trial_counts(job.id).values()) <= MOST:
        return store.all_trials(job.id)
    best = store.best_trials(job.id, MOST // 2, then=job.spec.objectives[1:])
    latest = store.trials(job.id, newest_first=True, limit=MOST // 2)
    return sorted({one.number: one for one in (*best, *latest)}.values(), key=lambda one: one.number)


def _common_epoch(steps: Sequence[int]) -> int:
    """The last epoch that half of the trials, and as many as are needed, have reached."""
    enough = max(NEEDED, (len(steps) + 1) // 2)
    return int(np.sort(steps)[-enough])


def _histories(store: Store, job_id: str, numbers: set[int], epoch: int) -> Mapping[int, list[Measurement]]:
    """What was measured of each trial up to `epoch`, by its number."""
    found: defaultdict[int, list[Measurement]] = defaultdict(list)
    for number, measurement in _measurements(store, job_id):
        if number in numbers and measurement.step <= epoch:
            found[number].append(measurement)
    return found


def _measurements(store: Store, job_id: str) -> Iterator[tuple[int, Measurement]]:
    after = 0
    while page := store.job_measurements(job_id, after=after, limit=_PAGE):
        yield from ((number, measurement) for _, number, measurement in page)
        after = page[-1][0]

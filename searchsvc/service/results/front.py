"""The Pareto front of a job: the finished trials that keep every constraint and that no other trial dominates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchsvc.domain import Job, Trial
from searchsvc.service.results.columns import ResultColumns
from searchsvc.service.results.standing import FIRST_LOOK, best
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """The Pareto front of a job as columns."""

    columns: ResultColumns
    until: int
    """Position of the last result that was considered; -1 before the first."""


def front_of(job: Job, results: ResultColumns) -> ParetoFront:
    """Return the Pareto front of all results of a job."""
    return ParetoFront(results.front(job.spec.objectives, job.spec.constraints), results.last_place)


def grown(store: Store, job: Job, before: ParetoFront | None = None) -> ParetoFront:
    """Return the current Pareto front; `before` is an earlier front, so that only newer results are read."""
    new = ResultColumns.of(store.results(job.id, after=before.until if before else -1))
    if before is not None and not len(new):
        return before
    return front_of(job, before.columns.joined(new) if before else new)


def trials_on_front(store: Store, job: Job, before: ParetoFront | None = None) -> list[Trial]:
    """Return the trials on the front, best first by the first objective."""
    if len(job.spec.objectives) == 1:
        ties = ties_for_best(store, job)
        if len(ties) < FIRST_LOOK:
            return ties
    columns = grown(store, job, before).columns
    order = np.lexsort((columns.numbers, -columns.values(job.spec.objectives)[:, 0]))
    return store.trials_numbered(job.id, columns.numbers[order].tolist())


def ties_for_best(store: Store, job: Job) -> list[Trial]:
    """Return up to 64 trials that share the best value of the first objective: the front of a single objective."""
    metric = job.spec.objectives[0].metric
    trials = best(store, job, FIRST_LOOK)
    return [trial for trial in trials if (trial.metrics or {})[metric] == (trials[0].metrics or {})[metric]]

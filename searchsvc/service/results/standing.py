"""The standing of a job: counts, pace, time left, the best trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from searchsvc.domain import Constraint, Job, JobState, Trial, TrialState, count_for_budget
from searchsvc.errors import Conflict
from searchsvc.service.results.columns import ResultColumns
from searchsvc.store import Store

FIRST_LOOK = 64
"""Number of trials read at first to find the best: most often they keep the constraints, and this suffices."""


@dataclass(frozen=True, slots=True)
class JobStanding:
    """The state of a job in stored numbers, read with few statements for any number of trials."""

    job: Job
    counts: Mapping[TrialState, int]
    rejected: Mapping[str, int]
    """Candidates that broke a hard constraint and never became a trial, by reason."""
    answered: int
    """Repeated candidates that were answered with a stored result."""
    best: Trial | None
    trials_per_minute: float | None
    """Ended trials per minute under a driver; None before the first."""
    eta_seconds: float | None
    """Seconds until the budget is used up at this pace; None if unknown, 0 if the job has ended."""
    trained_seconds: float
    """The training time of all trials together."""

    @property
    def cpu_hours(self) -> float:
        """CPU-hours that the trials have used, from the CPUs assigned to each trial."""
        return self.trained_seconds * self.job.spec.resources.cpu / 3600

    @property
    def gpu_hours(self) -> float:
        return self.job.gpu_seconds_used / 3600


@dataclass(frozen=True, slots=True)
class JobSummary(JobStanding):
    """The standing of a job with the size of its Pareto front, which requires all results."""

    pareto_size: int


def standing(store: Store, job: Job, counts: Mapping[TrialState, int], trained_seconds: float) -> JobStanding:
    """Return the standing of a job with these trial counts by state."""
    rejected, answered = store.rejections(job.id)
    ended = count_for_budget(counts)
    pace = ended / job.seconds_used if ended and job.seconds_used > 0 else None
    first = best(store, job, 1)
    return JobStanding(
        job=job,
        counts=counts,
        rejected=rejected,
        answered=answered,
        best=first[0] if first else None,
        trials_per_minute=pace * 60 if pace else None,
        eta_seconds=_eta(job, ended, pace),
        trained_seconds=trained_seconds,
    )


def summary(standing: JobStanding, pareto_size: int) -> JobSummary:
    """Return the standing with the size of the Pareto front."""
    return JobSummary(**{each.name: getattr(standing, each.name) for each in fields(standing)}, pareto_size=pareto_size)


def best(store: Store, job: Job, count: int) -> list[Trial]:
    """Return the `count` best trials that keep every constraint, by the first objective, ties by the next objectives.

    So the first trial is on the Pareto front: no trial that equals it in the first objective beats it in another.
    """
    limit = max(count, FIRST_LOOK)
    trials = store.best_trials(job.id, limit, then=job.spec.objectives[1:])
    feasible = [trial for trial in trials if is_feasible(trial.metrics, job.spec.constraints)]
    if len(feasible) >= count or len(trials) < limit:
        return feasible[:count]
    results = ResultColumns.of(store.results(job.id))
    results = results.take(results.within(job.spec.constraints))
    order = np.lexsort((results.numbers, *-results.values(job.spec.objectives).T[::-1]))  # primary key last
    return store.trials_numbered(job.id, results.numbers[order[:count]].tolist())


def the_best(store: Store, job: Job) -> Trial:
    """Return the best trial. Raises Conflict if no finished trial keeps the constraints."""
    trials = best(store, job, 1)
    if not trials:
        raise Conflict(f"job {job.name} has no finished trial that keeps its constraints yet")
    return trials[0]


def is_feasible(metrics: Mapping[str, float] | None, constraints: Sequence[Constraint]) -> bool:
    """Return whether a result keeps every constraint; a constraint on an unmeasured metric is broken."""
    return all(constraint.holds((metrics or {}).get(constraint.metric, np.nan)) for constraint in constraints)


def _eta(job: Job, ended: int, pace: float | None) -> float | None:
    if job.state.is_final:
        return 0.0
    if job.state is JobState.PAUSED:
        return None
    budget, limits = job.spec.budget, []
    if pace:
        limits.append((budget.trials - ended) / pace)
    if budget.seconds is not None:
        limits.append(budget.seconds - job.seconds_used)
    if budget.gpu_hours is not None and job.gpu_seconds_used > 0:
        limits.append((budget.gpu_hours * 3600 - job.gpu_seconds_used) * job.seconds_used / job.gpu_seconds_used)
    return max(0.0, min(limits)) if limits else None

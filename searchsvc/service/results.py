"""What a job has found so far: the best trials, the Pareto front, the summary, a comparison of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchsvc.domain import Constraint, Job, JobSpec, JobState, Scalar, Trial, TrialState, pareto_front
from searchsvc.errors import Conflict
from searchsvc.store import Store

_FIRST_LOOK = 64  # most often the best trials keep the constraints, and one look is enough
_FINISHED = (TrialState.SUCCEEDED, TrialState.STOPPED)


@dataclass(frozen=True, slots=True)
class JobSummary:
    """Where a job stands, in numbers that are stored."""

    job: Job
    counts: Mapping[TrialState, int]
    rejected: Mapping[str, int]
    """Candidates that broke a hard constraint and never became a trial, by reason."""
    answered: int
    """Repeated candidates that the stored result answered."""
    best: Trial | None
    pareto_size: int
    trials_per_minute: float | None
    """Ended trials per minute under a driver; None before the first."""
    eta_seconds: float | None
    """Seconds until the budget is used up at this pace; None where nothing can be said. 0 where the job has ended."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Trials side by side. Rows of names, each with one value per trial; None where a trial has none."""

    trials: tuple[Trial, ...]
    parameters: Mapping[str, tuple[Scalar | None, ...]]
    metrics: Mapping[str, tuple[float | None, ...]]

    @property
    def differing(self) -> tuple[str, ...]:
        """The parameters in which the trials are not all alike."""
        return tuple(name for name, values in self.parameters.items() if len(set(values)) > 1)


def is_feasible(trial: Trial, constraints: Sequence[Constraint]) -> bool:
    """Whether a finished trial keeps every constraint; one whose metric was not measured is not kept."""
    metrics = trial.metrics or {}
    return all(one.holds(metrics.get(one.metric, np.nan)) for one in constraints)


def best(store: Store, job: Job, count: int) -> list[Trial]:
    """The `count` best trials by the first objective among those that keep every constraint, the best first."""
    limit = max(count, _FIRST_LOOK)
    while True:
        trials = store.best_trials(job.id, limit)
        feasible = [trial for trial in trials if is_feasible(trial, job.spec.constraints)]
        if len(feasible) >= count or len(trials) < limit:
            return feasible[:count]
        limit *= 4


def the_best(store: Store, job: Job) -> Trial:
    """The first of the best. Raises Conflict where there is none yet."""
    found = best(store, job, 1)
    if not found:
        raise Conflict(f"job {job.name} has no finished trial that keeps its constraints yet")
    return found[0]


def pareto(store: Store, job: Job) -> list[Trial]:
    """Finished trials that keep every constraint and that no other one dominates, best first by the first objective."""
    spec = job.spec
    trials = [one for one in store.all_trials(job.id) if one.state in _FINISHED and is_feasible(one, spec.constraints)]
    if not trials:
        return []
    values = np.array([[o.sign * (t.metrics or {}).get(o.metric, np.nan) for o in spec.objectives] for t in trials])
    front = np.flatnonzero(pareto_front(values))
    return [trials[index] for index in sorted(front, key=lambda index: -values[index, 0])]


def front_size(store: Store, job: Job) -> int:
    """How many trials are on the Pareto front. With one objective, those that share the best value, 64 at most."""
    if len(job.spec.objectives) > 1:
        return len(pareto(store, job))
    metric = job.spec.objectives[0].metric
    values = [(trial.metrics or {}).get(metric) for trial in best(store, job, _FIRST_LOOK)]
    return values.count(values[0]) if values else 0


def summary(store: Store, job: Job, pareto_size: Callable[[], int]) -> JobSummary:
    """The number of statements does not grow with the number of trials."""
    counts = store.trial_counts(job.id)
    rejected, answered = store.rejections(job.id)
    ended = sum(number for state, number in counts.items() if state.is_final and state is not TrialState.CANCELLED)
    pace = ended / job.seconds_used if ended and job.seconds_used > 0 else None
    first = best(store, job, 1)
    return JobSummary(
        job=job,
        counts=counts,
        rejected=rejected,
        answered=answered,
        best=first[0] if first else None,
        pareto_size=pareto_size() if first else 0,
        trials_per_minute=pace * 60 if pace else None,
        eta_seconds=_eta(job, ended, pace),
    )


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


def compare(trials: Sequence[Trial], specs: Mapping[str, JobSpec]) -> Comparison:
    """Trials, of one job or of several, side by side; `specs` by job id give what a trial's space leaves out."""
    fixed = {trial.id: specs[trial.job_id].space.fix for trial in trials}
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.values))
    metrics = list(
        dict.fromkeys(name for trial in trials for name in {**(trial.metrics or {}), **(trial.test_metrics or {})})
    )
    return Comparison(
        trials=tuple(trials),
        parameters={name: tuple(t.values.get(name, fixed[t.id].get(name)) for t in trials) for name in parameters},
        metrics={
            name: tuple({**(t.test_metrics or {}), **(t.metrics or {})}.get(name) for t in trials) for name in metrics
        },
    )

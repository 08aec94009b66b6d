"""What a job has found so far: the best trials, the Pareto front, the summary, a comparison of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from searchsvc.domain import Constraint, Job, JobSpec, JobState, Scalar, Trial, TrialState, count_for_budget
from searchsvc.errors import Conflict
from searchsvc.service.results.columns import Results
from searchsvc.store import Store

_FIRST_LOOK = 64  # most often the best trials keep the constraints, and one look is enough


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands, in numbers that are stored. Few statements, however many trials there are."""

    job: Job
    counts: Mapping[TrialState, int]
    rejected: Mapping[str, int]
    """Candidates that broke a hard constraint and never became a trial, by reason."""
    answered: int
    """Repeated candidates that the stored result answered."""
    best: Trial | None
    trials_per_minute: float | None
    """Ended trials per minute under a driver; None before the first."""
    eta_seconds: float | None
    """Seconds until the budget is used up at this pace; None where nothing can be said. 0 where the job has ended."""
    trained_seconds: float
    """For which its trials were trained, all together."""

    @property
    def cpu_hours(self) -> float:
        """What trials have had, by what each is given."""
        return self.trained_seconds * self.job.spec.resources.cpu / 3600

    @property
    def gpu_hours(self) -> float:
        return self.job.gpu_seconds_used / 3600


@dataclass(frozen=True, slots=True)
class JobSummary(Standing):
    """That, and what takes a look at all results: once, then at the new ones."""

    pareto_size: int


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


@dataclass(frozen=True, slots=True)
class Front:
    """The Pareto front of a job as columns."""

    results: Results
    until: int
    """The place, in the order in which results are told, of the last one that was looked at; -1 before the first."""


@dataclass(frozen=True, slots=True)
class KnownFront:
    """How many trials were on the front when so many had ended with a result; -1 where their number is not known."""

    ended: int
    size: int
    front: Front | None
    """None where there is one objective."""


def is_feasible(metrics: Mapping[str, float] | None, constraints: Sequence[Constraint]) -> bool:
    """Whether a result keeps every constraint; one whose metric was not measured is not kept."""
    return all(one.holds((metrics or {}).get(one.metric, np.nan)) for one in constraints)


def best(store: Store, job: Job, count: int) -> list[Trial]:
    """The `count` best trials by the first objective, equal ones by the next, that keep every constraint; best first.

    So the first is on the Pareto front: nothing that equals it in the first objective beats it in another.
    """
    limit = max(count, _FIRST_LOOK)
    trials = store.best_trials(job.id, limit, then=job.spec.objectives[1:])
    feasible = [trial for trial in trials if is_feasible(trial.metrics, job.spec.constraints)]
    if len(feasible) >= count or len(trials) < limit:
        return feasible[:count]
    found = Results.of(store.results(job.id))
    found = found.take(found.kept(job.spec.constraints))
    order = np.lexsort((found.numbers, *-found.values(job.spec.objectives).T[::-1]))  # the last key weighs most
    return store.trials_numbered(job.id, found.numbers[order[:count]].tolist())


def the_best(store: Store, job: Job) -> Trial:
    """The first of the best. Raises Conflict where there is none yet."""
    found = best(store, job, 1)
    if not found:
        raise Conflict(f"job {job.name} has no finished trial that keeps its constraints yet")
    return found[0]


def pareto(store: Store, job: Job, before: Front | None = None) -> list[Trial]:
    """Finished trials that keep every constraint and that no other one dominates, best first by the first objective."""
    if len(job.spec.objectives) == 1:
        equals = _best_equals(store, job)
        if len(equals) < _FIRST_LOOK:
            return equals
    found = front(store, job, before).results
    order = np.lexsort((found.numbers, -found.values(job.spec.objectives)[:, 0]))
    return store.trials_numbered(job.id, found.numbers[order].tolist())


def front(store: Store, job: Job, before: Front | None = None) -> Front:
    """The Pareto front; `before`: what it was earlier, so that only what has ended since is looked at."""
    new = Results.of(store.results(job.id, after=before.until if before else -1))
    if before is not None and not len(new):
        return before
    found = before.results.joined(new) if before else new
    return Front(found.front(job.spec.objectives, job.spec.constraints), new.last_place)


def front_of(job: Job, found: Results) -> KnownFront:
    """The Pareto front of all results, from which `known_front` goes on."""
    front = found.front(job.spec.objectives, job.spec.constraints)
    return KnownFront(ended=-1, size=len(front), front=Front(front, found.last_place))


def known_front(store: Store, job: Job, ended: int, before: KnownFront | None = None) -> KnownFront:
    """How many trials are on the Pareto front. With one objective, those that share the best value, 64 at most."""
    if len(job.spec.objectives) == 1:
        return KnownFront(ended, len(_best_equals(store, job)), None)
    found = front(store, job, before.front if before else None)
    return KnownFront(ended, len(found.results), found)


def _best_equals(store: Store, job: Job) -> list[Trial]:
    """Those that share the best value of the first objective, 64 at most."""
    metric = job.spec.objectives[0].metric
    trials = best(store, job, _FIRST_LOOK)
    return [trial for trial in trials if (trial.metrics or {})[metric] == (trials[0].metrics or {})[metric]]


def standing(store: Store, job: Job, trained_seconds: Callable[[int], float]) -> Standing:
    """`trained_seconds` is told how many trials have ended."""
    counts = store.trial_counts(job.id)
    rejected, answered = store.rejections(job.id)
    ended = count_for_budget(counts)
    pace = ended / job.seconds_used if ended and job.seconds_used > 0 else None
    first = best(store, job, 1)
    return Standing(
        job=job,
        counts=counts,
        rejected=rejected,
        answered=answered,
        best=first[0] if first else None,
        trials_per_minute=pace * 60 if pace else None,
        eta_seconds=_eta(job, ended, pace),
        trained_seconds=trained_seconds(ended) if ended else 0.0,
    )


def summary(found: Standing, pareto_size: Callable[[Mapping[TrialState, int]], int]) -> JobSummary:
    """`pareto_size` is told how many trials are in each state, and asked where there is a best one."""
    known = {one.name: getattr(found, one.name) for one in fields(found)}
    return JobSummary(**known, pareto_size=pareto_size(found.counts) if found.best else 0)


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

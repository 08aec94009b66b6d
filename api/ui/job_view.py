"""JobView: one job with its trials, curves and events, kept up to date by what its events say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from searchsvc.domain import Event, JobSpec, Round, Trial, TrialState
from searchsvc.errors import Conflict
from searchsvc.service import Distributions, JobSummary, Service

Curve: TypeAlias = tuple[tuple[int, float], ...]
"""(step, first objective) by step."""

MOST_TRIALS = 10_000
"""The newest; the others are in the exports."""
MOST_CURVES = 200
"""Curves that are drawn: the best trials, then the newest."""
MOST_EVENTS = 300
_BEST_CURVES = 50
_PAGE = 1000
_READ_ALL = 200
"""More changed trials than this are read faster as pages."""


@dataclass(frozen=True, slots=True)
class JobView:
    """What a job page shows."""

    summary: JobSummary
    trials: Mapping[int, Trial]
    """By number, the newest first."""
    total: int
    """Trials of the job; more than there are in `trials` where it has very many."""
    curves: Mapping[int, Curve]
    front: frozenset[int]
    """Numbers of the trials on the Pareto front."""
    events: tuple[Event, ...]
    """The newest first."""
    rounds: tuple[Round, ...]
    distributions: Distributions | None

    @property
    def spec(self) -> JobSpec:
        return self.summary.job.spec


@dataclass(slots=True)
class JobReader:
    """Reads whole once; then only the trials that events name."""

    service: Service
    job_id: str
    _trials: dict[int, Trial] = field(default_factory=dict)
    _curves: dict[int, Curve] = field(default_factory=dict)
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    _front: frozenset[int] = frozenset()
    _rounds: tuple[Round, ...] = ()
    _distributions: Distributions | None = None

    def read(self, events: Sequence[Event] | None) -> JobView:
        """Raises NotFound when the job is deleted, StoreUnavailable."""
        summary = self.service.summary(self.job_id)
        if events is None:
            self._read_all(summary)
        else:
            self._follow(summary, events)
        return JobView(
            summary=summary,
            trials=dict(sorted(self._trials.items(), reverse=True)),
            total=sum(summary.counts.values()),
            curves=dict(self._curves),
            front=self._front,
            events=tuple(reversed(self._events)),
            rounds=self._rounds,
            distributions=self._distributions,
        )

    def _read_all(self, summary: JobSummary) -> None:
        self._read_trials()
        self._read_results(summary)
        self._events.clear()
        self._events.extend(self.service.latest_events(self.job_id, MOST_EVENTS))
        metric = summary.job.spec.objectives[0].metric
        for number in self._drawn(summary.job.spec) - self._curves.keys():
            measured = self.service.measurements(self._trials[number].id)
            self._curves[number] = tuple((one.step, one.metrics[metric]) for one in measured if metric in one.metrics)

    def _read_trials(self) -> None:
        found: dict[int, Trial] = {}
        token: str | None = None
        while len(found) < MOST_TRIALS:
            page = self.service.trials(self.job_id, newest_first=True, page_size=_PAGE, page_token=token)
            found.update((trial.number, trial) for trial in page.items)
            token = page.next_page_token
            if token is None:
                break
        self._trials = found

    def _read_results(self, summary: JobSummary) -> None:
        self._front = frozenset(one.number for one in self.service.pareto(self.job_id)) if summary.best else frozenset()
        self._rounds = tuple(self.service.rounds(self.job_id))
        try:
            self._distributions = self.service.distributions(self.job_id)
        except Conflict:
            self._distributions = None

    def _follow(self, summary: JobSummary, events: Sequence[Event]) -> None:
        self._events.extend(events)
        changed = {event.trial_id for event in events if event.trial_id}
        if len(changed) > _READ_ALL:
            self._read_trials()
        else:
            for trial_id in changed:
                trial = self.service.trial(trial_id)
                self._trials[trial.number] = trial
            for number in sorted(self._trials)[: max(0, len(self._trials) - MOST_TRIALS)]:
                del self._trials[number]
        self._follow_curves(summary.job.spec, events)
        if any(event.kind in _MOVES_RESULTS or _is_supernet(self._trials, event) for event in events):
            self._read_results(summary)

    def _follow_curves(self, spec: JobSpec, events: Sequence[Event]) -> None:
        numbers = {trial.id: number for number, trial in self._trials.items()}
        metric = spec.objectives[0].metric
        for event in events:
            number = numbers.get(event.trial_id or "")
            if event.kind != "trial.measured" or number is None or metric not in event.data["metrics"]:
                continue
            known = self._curves.get(number, ())
            if not known or known[-1][0] < event.data["step"]:
                self._curves[number] = (*known, (event.data["step"], event.data["metrics"][metric]))
        drawn = self._drawn(spec)
        self._curves = {number: curve for number, curve in self._curves.items() if number in drawn}

    def _drawn(self, spec: JobSpec) -> set[int]:
        """The numbers of the trials whose curves are drawn."""
        best = sorted(results(self._trials.values(), spec), key=lambda pair: -pair[1])[:_BEST_CURVES]
        newest = [one.number for one in self._trials.values() if one.step]
        return {trial.number for trial, _ in best} | set(sorted(newest, reverse=True)[: MOST_CURVES - len(best)])


_MOVES_RESULTS = frozenset({"trial.finished", "round.finished", "job.retried"})


def _is_supernet(trials: Mapping[int, Trial], event: Event) -> bool:
    """Whether the distributions have moved."""
    return event.kind == "trial.measured" and any(
        trial.id == event.trial_id and not trial.is_candidate for trial in trials.values()
    )


def results(trials: Iterable[Trial], spec: JobSpec) -> list[tuple[Trial, float]]:
    """Candidates that have ended with a result, and their first objective, larger is better."""
    first = spec.objectives[0]
    return [
        (trial, first.sign * trial.metrics[first.metric])
        for trial in trials
        if trial.is_candidate and trial.state in _ENDED and trial.metrics and first.metric in trial.metrics
    ]


_ENDED = (TrialState.SUCCEEDED, TrialState.STOPPED)

"""JobView: a job with its trials, curves and events, kept up to date by following its events."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import islice
from typing import Any, TypeVar

from api.ui.live.curves import Curve, CurveStore
from api.ui.parts.funnel import epochs_saved
from api.ui.tables.rows import Rows, RowStore, trial_row
from searchsvc.domain import Event, JobSpec, Round, Trial
from searchsvc.errors import Conflict
from searchsvc.service.results.columns import ResultColumns
from searchsvc.service.results.distributions import Distributions
from searchsvc.service.results.standing import JobSummary
from searchsvc.service.service import Service

T = TypeVar("T")

MOST_TRIALS = 10_000
"""Maximal number of trials: the newest, in addition to the best and those on the front. Exports have all of them."""
MOST_POINTS = 2000
"""Maximal number of points of a series in a chart, sampled evenly from all results to limit the transferred data."""
PAUSE_SECONDS, LONG_PAUSE_SECONDS = 4.0, 20.0
"""Minimal time between two versions of sampled charts, if the front has changed and if it has not. A chart is always
sent as a whole, and one more result hardly changes it.
"""
MOST_CURVES = 200
"""Maximal number of curves drawn at first: of the best trials, then of the newest."""
MOST_EVENTS = 300
_BEST_CURVES = 50
_LOOKED_AT = 50
PAGE = 1000
"""Number of trials per read; the first view of a job waits for a single read."""


@dataclass(frozen=True, slots=True)
class JobView:
    """Content of the job page."""

    summary: JobSummary
    trials: Mapping[int, Trial]
    """The newest trials, the best trials and those on the front, by number, the newest first."""
    numbers: Mapping[str, int]
    """Numbers of `trials` by id."""
    total: int
    """Number of trials of the job, which exceeds the length of `trials` for very large jobs."""
    is_whole: bool
    """False for the first view of a job with more than 1,000 trials, which has only the newest of them."""
    results: ResultColumns = field(compare=False)
    """Results of all trials of the job."""
    curves: Mapping[int, Curve]
    front: frozenset[int]
    """Numbers of the trials on the Pareto front."""
    events: tuple[Event, ...]
    """The newest events first."""
    rounds: tuple[Round, ...]
    distributions: Distributions | None
    epochs_saved: tuple[int, int]
    """(saved by early stopping, total), over `trials`."""
    rows: Rows = field(compare=False)
    """Rows of the table of trials."""
    chart_version: int = field(default=0, compare=False)
    """Version of the charts of results; they are drawn again if it changes."""
    results_by_key: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def spec(self) -> JobSpec:
        return self.summary.job.spec

    @property
    def costs(self) -> list[str]:
        """Names of the costs of candidates, which are computed before training."""
        newest = islice(self.trials.values(), _LOOKED_AT)
        return sorted({name for one in newest for name in one.proposal.costs})

    def once(self, key: Hashable, make: Callable[[JobView], T]) -> T:
        """Return the result of `make` for this view, computed once for all pages."""
        if key not in self.results_by_key:
            self.results_by_key[key] = make(self)
        result: T = self.results_by_key[key]
        return result


@dataclass(slots=True)
class JobReader:
    """Reader of a job. It reads everything once, in two views if there are many trials, then only trials in events."""

    service: Service
    job_id: str
    _trials: dict[int, Trial] = field(default_factory=dict)
    _older: str | None = None
    """Page token of the older trials; None if all are read."""
    _numbers: dict[str, int] = field(default_factory=dict)
    _results: ResultColumns = field(default_factory=lambda: ResultColumns.of(()))
    _on_front: ResultColumns = field(default_factory=lambda: ResultColumns.of(()))
    _best: tuple[int, ...] = ()
    _curves: CurveStore = field(init=False)
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    _rounds: tuple[Round, ...] = ()
    _distributions: Distributions | None = None
    _rows: RowStore[int, Trial] = field(default_factory=RowStore)
    _front_shown: frozenset[int] = frozenset()
    _chart_version: int = 0
    _drawn_front: frozenset[int] = frozenset()
    _drawn_at: float = -math.inf

    def __post_init__(self) -> None:
        self._curves = CurveStore(self.service, MOST_CURVES)

    def read(self, events: Sequence[Event] | None) -> JobView:
        """Read the job. Raises StoreUnavailable, and NotFound if the job is deleted."""
        if events is None:
            self._results = self.service.results.columns(self.job_id)
        summary = self.service.results.summary(self.job_id)
        if events is None:
            self._read_all(summary.job.spec)
        else:
            self._follow(summary.job.spec, events)
        trials = dict(sorted(self._trials.items(), reverse=True))
        front = frozenset(self._on_front.numbers.tolist())
        return JobView(
            summary=summary,
            trials=trials,
            numbers=dict(self._numbers),
            total=sum(summary.counts.values()),
            is_whole=self._older is None,
            results=self._results,
            curves=self._curves.read(trials, self._best, summary.job.spec.objectives[0].metric),
            front=front,
            events=tuple(reversed(self._events)),
            rounds=self._rounds,
            distributions=self._distributions,
            epochs_saved=epochs_saved(trials.values(), summary.job.spec),
            rows=self._update_rows(summary.job.spec, trials, front),
            chart_version=self._next_chart_version(front),
        )

    def _next_chart_version(self, front: frozenset[int]) -> int:
        now = time.monotonic()
        pause = PAUSE_SECONDS if front != self._drawn_front else LONG_PAUSE_SECONDS
        if len(self._results) <= MOST_POINTS or now >= self._drawn_at + pause:
            self._chart_version, self._drawn_front, self._drawn_at = self._chart_version + 1, front, now
        return self._chart_version

    def _read_all(self, spec: JobSpec) -> None:
        again, self._trials, self._numbers, self._older = bool(self._trials), {}, {}, None
        self._take(self._page())
        if again:
            self._take_older()
        self._rank(spec, self._results)
        self._read_progress()
        self._events.clear()
        self._events.extend(self.service.events.latest(self.job_id, MOST_EVENTS))

    def _update_rows(self, spec: JobSpec, trials: Mapping[int, Trial], front: frozenset[int]) -> Rows:
        moved, self._front_shown = front ^ self._front_shown, front
        return self._rows.update(trials, lambda one: trial_row(one, spec, on_front=one.number in front), moved)

    def _page(self) -> Sequence[Trial]:
        """Read the next page of trials, from the newest to the oldest."""
        page = self.service.trials.page(self.job_id, newest_first=True, page_size=PAGE, page_token=self._older)
        self._older = page.next_page_token
        return page.items

    def _take_older(self) -> None:
        for _ in range(PAGE, MOST_TRIALS, PAGE):
            if self._older is not None:
                self._take(self._page())
        self._older = None

    def _take(self, trials: Iterable[Trial]) -> None:
        for trial in trials:
            self._trials[trial.number] = trial
            self._numbers[trial.id] = trial.number

    def _rank(self, spec: JobSpec, candidates: ResultColumns) -> None:
        """Find the front and the best trials, and read any of them that are missing, however old."""
        self._on_front = candidates.front(spec.objectives, spec.constraints)
        self._best = tuple(self._results.best(spec.objectives[0], _BEST_CURVES))
        missing = [number for number in self._prominent() if number not in self._trials]
        if missing:
            self._take(self.service.trials.numbered(self.job_id, missing))

    def _prominent(self) -> set[int]:
        return {*self._best, *self._on_front.numbers.tolist()}

    def _read_progress(self) -> None:
        self._rounds = tuple(self.service.results.rounds(self.job_id))
        try:
            self._distributions = self.service.results.distributions(self.job_id)
        except Conflict:
            self._distributions = None

    def _follow(self, spec: JobSpec, events: Sequence[Event]) -> None:
        self._events.extend(events)
        if self._older is not None:
            self._take_older()
        changed = self.service.trials.with_ids(list({event.trial_id for event in events if event.trial_id}))
        self._take(changed)
        self._add_results(spec, changed)
        self._drop_oldest()
        if any(event.kind in _MOVES_PROGRESS or self._is_of_supernet(event) for event in events):
            self._read_progress()

    def _add_results(self, spec: JobSpec, changed: Iterable[Trial]) -> None:
        last = self._results.last_place
        rows = [
            (trial.number, trial.told, trial.metrics)
            for trial, _ in results(changed, spec)
            if trial.told is not None and trial.told > last and trial.metrics
        ]
        if rows:
            new = ResultColumns.of(rows)
            self._results = self._results.joined(new)
            self._rank(spec, self._on_front.joined(new))

    def _drop_oldest(self) -> None:
        over = len(self._trials) - MOST_TRIALS
        if over > 0:
            for number in nsmallest(over, self._trials.keys() - self._prominent()):
                del self._numbers[self._trials.pop(number).id]

    def _is_of_supernet(self, event: Event) -> bool:
        """Return whether the event changes the distributions of a supernet."""
        number = self._numbers.get(event.trial_id or "")
        return event.kind == "trial.measured" and number is not None and not self._trials[number].is_candidate


_MOVES_PROGRESS = frozenset({"trial.finished", "round.finished", "job.retried"})


def results(trials: Iterable[Trial], spec: JobSpec) -> list[tuple[Trial, float]]:
    """Return the candidates with a result, each with its first objective, signed so that larger is better."""
    first = spec.objectives[0]
    return [
        (trial, first.sign * trial.metrics[first.metric])
        for trial in trials
        if trial.is_search_result and trial.metrics and first.metric in trial.metrics
    ]

"""CompareView: several trials side by side, read again when an event names a trial among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchsvc.domain import Event, Job, Measurement
from searchsvc.errors import InvalidInput
from searchsvc.service.results.comparison import TrialComparison
from searchsvc.service.service import Service

MOST = 6
"""Maximal number of trials that can be distinguished side by side."""


@dataclass(frozen=True, slots=True)
class CompareView:
    """Content of the compare page."""

    comparison: TrialComparison
    jobs: Mapping[str, Job]
    """Jobs of the trials, by id."""
    measurements: tuple[tuple[Measurement, ...], ...]
    """Measurements of each trial, by step."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the trials: `#3`, or `digits #3` if the trials belong to several jobs."""
        several = len(self.jobs) > 1
        return tuple(
            f"{self.jobs[one.job_id].name} #{one.number}" if several else f"#{one.number}"
            for one in self.comparison.trials
        )


@dataclass(slots=True)
class CompareReader:
    """Reader of several trials, which are named by id or as JOB/NUMBER."""

    service: Service
    trials: tuple[str, ...]
    _view: CompareView | None = None

    def read(self, events: Sequence[Event] | None) -> CompareView:
        """Read the trials. Raises InvalidInput, NotFound, Conflict, StoreUnavailable."""
        shown = {one.id for one in self._view.comparison.trials} if self._view else set()
        if self._view is None or events is None or any(event.trial_id in shown for event in events):
            self._view = self._read()
        return self._view

    def _read(self) -> CompareView:
        if not 1 <= len(self.trials) <= MOST:
            raise InvalidInput.at("/trials", f"name one to {MOST} trials, not {len(self.trials)}")
        comparison = self.service.trials.compare(self.trials)
        jobs = {one.job_id: self.service.jobs.get(one.job_id) for one in comparison.trials}
        return CompareView(
            comparison, jobs, tuple(tuple(self.service.trials.measurements(one.id)) for one in comparison.trials)
        )

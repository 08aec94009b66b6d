"""CompareView: some trials side by side, read again when an event names one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchsvc.domain import Event, Job, Measurement
from searchsvc.errors import InvalidInput
from searchsvc.service.results.comparison import TrialComparison
from searchsvc.service.service import Service

MOST = 6
"""Trials that can still be told apart side by side."""


@dataclass(frozen=True, slots=True)
class CompareView:
    """What a compare page shows."""

    comparison: TrialComparison
    jobs: Mapping[str, Job]
    """Of the trials, by id."""
    measurements: tuple[tuple[Measurement, ...], ...]
    """Of each trial, by step."""

    @property
    def labels(self) -> tuple[str, ...]:
        """`#3`; where the trials are of several jobs, `digits #3`."""
        several = len(self.jobs) > 1
        return tuple(
            f"{self.jobs[one.job_id].name} #{one.number}" if several else f"#{one.number}"
            for one in self.comparison.trials
        )


@dataclass(slots=True)
class CompareReader:
    """Of some trials, by id or as JOB/NUMBER."""

    service: Service
    trials: tuple[str, ...]
    _known: CompareView | None = None

    def read(self, events: Sequence[Event] | None) -> CompareView:
        """Raises InvalidInput, NotFound, Conflict, StoreUnavailable."""
        shown = {one.id for one in self._known.comparison.trials} if self._known else set()
        if self._known is None or events is None or any(event.trial_id in shown for event in events):
            self._known = self._read()
        return self._known

    def _read(self) -> CompareView:
        if not 1 <= len(self.trials) <= MOST:
            raise InvalidInput.at("/trials", f"name one to {MOST} trials, not {len(self.trials)}")
        comparison = self.service.trials.compare(self.trials)
        jobs = {one.job_id: self.service.jobs.get(one.job_id) for one in comparison.trials}
        return CompareView(
            comparison, jobs, tuple(tuple(self.service.trials.measurements(one.id)) for one in comparison.trials)
        )

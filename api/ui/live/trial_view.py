"""TrialView: a trial without its log, read again if an event names the trial and while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchsvc.domain import Artifact, Attempt, Event, JobSpec, Measurement, Trial
from searchsvc.service.service import Service


@dataclass(frozen=True, slots=True)
class TrialView:
    """Content of the trial page."""

    spec: JobSpec
    trial: Trial
    measurements: tuple[Measurement, ...]
    attempts: tuple[Attempt, ...]
    artifacts: tuple[Artifact, ...]


@dataclass(slots=True)
class TrialReader:
    """Reader of a trial."""

    service: Service
    trial_id: str
    spec: JobSpec
    _view: TrialView | None = None

    def read(self, events: Sequence[Event] | None) -> TrialView:
        """Read the trial. Raises NotFound, StoreUnavailable."""
        named = events is None or any(event.trial_id == self.trial_id for event in events)
        if self._view is None or named or not self._view.trial.state.is_final:
            self._view = self._read()
        return self._view

    def _read(self) -> TrialView:
        service, trial = self.service, self.trial_id
        return TrialView(
            spec=self.spec,
            trial=service.trials.get(trial),
            measurements=tuple(service.trials.measurements(trial)),
            attempts=tuple(service.trials.attempts(trial)),
            artifacts=tuple(service.trials.artifacts(trial)),
        )

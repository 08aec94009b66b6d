"""Comparison of trials side by side, of a single job or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searchsvc.domain import JobSpec, Scalar, Trial, value_key


@dataclass(frozen=True, slots=True)
class TrialComparison:
    """Trials side by side: rows by name with a value per trial, None for a trial without that value."""

    trials: tuple[Trial, ...]
    parameters: Mapping[str, tuple[Scalar | None, ...]]
    metrics: Mapping[str, tuple[float | None, ...]]

    @property
    def differing(self) -> tuple[str, ...]:
        """The parameters in which the trials differ."""
        return tuple(name for name, values in self.parameters.items() if len(set(map(value_key, values))) > 1)


def compare(trials: Sequence[Trial], specs: Mapping[str, JobSpec]) -> TrialComparison:
    """Compare trials; `specs` by job id contain the parameters that a trial's space has fixed."""
    fixed = {trial.id: specs[trial.job_id].space.fix for trial in trials}
    measured = [{**(trial.test_metrics or {}), **(trial.metrics or {})} for trial in trials]
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.values))
    metrics = list(
        dict.fromkeys(name for trial in trials for name in {**(trial.metrics or {}), **(trial.test_metrics or {})})
    )
    return TrialComparison(
        trials=tuple(trials),
        parameters={name: tuple(t.values.get(name, fixed[t.id].get(name)) for t in trials) for name in parameters},
        metrics={name: tuple(values.get(name) for values in measured) for name in metrics},
    )

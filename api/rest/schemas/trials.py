"""Schemas of trials: their attempts, measurements and files, and a comparison of several."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import Metrics, Out, RecordOut, Values
from searchsvc import domain
from searchsvc.domain import Scalar, TrialKind
from searchsvc.service.results.comparison import TrialComparison


class Trial(RecordOut, record=domain.Trial, after="state"):
    """The evaluation of a candidate."""

    values: Values = Field(description="The candidate: a value for every active parameter.")
    costs: Metrics = Field(description="Metrics known before training: FLOPs, parameters.", examples=[{"flops": 4.2e6}])
    rejected: dict[str, int] = Field(description="Candidates before this one that broke a hard constraint, by reason.")
    kind: TrialKind = Field(description="Whether it trains one candidate, or a supernet that selects some.")
    in_full: bool = Field(description="Whether the trial is trained to full fidelity, regardless of the stopping rule.")


class Measurement(RecordOut, record=domain.Measurement):
    """Metrics of a trial after some steps (epochs) of training."""


class Attempt(RecordOut, record=domain.Attempt):
    """An execution of a trial on a worker."""


class Artifact(RecordOut, record=domain.Artifact):
    """A file that a trial produced. `GET .../artifacts/{name}` downloads it."""


class Comparison(Out):
    """Trials side by side: for each name a value per trial, null if the trial has none."""

    trials: list[Trial] = Field(description="The trials, in the order of the request.")
    parameters: dict[str, list[Scalar | None]] = Field(description="Values of parameters, including fixed parameters.")
    metrics: dict[str, list[float | None]] = Field(description="Costs and metrics.")
    differing: list[str] = Field(description="Parameters in which the trials differ.")

    @classmethod
    def of(cls, comparison: TrialComparison) -> Self:
        return cls(
            trials=[Trial.of(trial) for trial in comparison.trials],
            parameters={name: list(values) for name, values in comparison.parameters.items()},
            metrics={name: list(values) for name, values in comparison.metrics.items()},
            differing=list(comparison.differing),
        )

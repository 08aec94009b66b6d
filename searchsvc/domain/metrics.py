"""Metrics, their measurements, and the goals and limits set on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from searchsvc.domain.fields import Shown
from searchsvc.domain.texts import check_metric

Goal: TypeAlias = Literal["maximize", "minimize"]
MetricName: TypeAlias = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(check_metric)]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Objective(_FrozenModel):
    """A metric and the direction in which it improves."""

    metric: MetricName
    goal: Goal = "maximize"

    @property
    def sign(self) -> float:
        """1 if larger is better, -1 if smaller is better: `sign * value` is always to be maximised."""
        return 1.0 if self.goal == "maximize" else -1.0


class Constraint(_FrozenModel):
    """A metric that must stay within [min, max]; hard if a cost model computes it before training."""

    metric: MetricName
    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("a constraint needs max, min or both")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) must not be above max ({self.max:g})")
        return self

    def excess(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much each of `values` (n,) exceeds the limit; 0 if it keeps the limit."""
        above = values - self.max if self.max is not None else np.zeros_like(values)
        below = self.min - values if self.min is not None else np.zeros_like(values)
        return np.maximum(0.0, np.maximum(above, below))

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the limit; False for NaN."""
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min)

    def __str__(self) -> str:
        if self.min is None:
            return f"{self.metric} <= {self.max:g}"
        if self.max is None:
            return f"{self.metric} >= {self.min:g}"
        return f"{self.min:g} <= {self.metric} <= {self.max:g}"


@dataclass(frozen=True, slots=True)
class Metric:
    """Description of a metric that a task measures."""

    name: str
    goal: Goal
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of a trial after `step` steps (epochs) of training.

    `seconds` is the time spent in training up to this step, over all attempts. Metrics are finite: a trial that would
    report NaN or infinity has failed as DIVERGED.
    """

    step: Annotated[int, Shown("The step, from 1 on.")]
    metrics: Annotated[
        Mapping[str, float], Shown("Metrics measured at the step.", examples=({"accuracy": 0.93, "loss": 0.24},))
    ]
    seconds: Annotated[float, Shown("Seconds of training up to here, over all attempts.")]


def best_measurement(measurements: Sequence[Measurement], objective: Objective) -> Measurement | None:
    """Return the measurement with the best value of `objective`, the earliest of equals, or None."""
    metric, sign = objective.metric, objective.sign
    scored = [measurement for measurement in measurements if metric in measurement.metrics]
    return max(scored, key=lambda each: (sign * each.metrics[metric], -each.step), default=None)

"""What is measured and what is wanted of it: metrics, objectives, constraints, measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Goal: TypeAlias = Literal["maximize", "minimize"]
MetricName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_.@/-]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Objective(_Frozen):
    """A metric and the direction in which it gets better."""

    metric: MetricName
    goal: Goal = "maximize"

    @property
    def sign(self) -> float:
        """1 where larger is better, -1 where smaller is: `sign * value` is always to be maximised."""
        return 1.0 if self.goal == "maximize" else -1.0


class Constraint(_Frozen):
    """A metric that must stay within [min, max]; hard where a cost model knows it before training."""

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
        """By how much each of `values` (n,) breaks the limit; 0 where it holds."""
        above = values - self.max if self.max is not None else np.zeros_like(values)
        below = self.min - values if self.min is not None else np.zeros_like(values)
        return np.maximum(0.0, np.maximum(above, below))

    def holds(self, value: float) -> bool:
        """False too where `value` is NaN."""
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min)

    def __str__(self) -> str:
        if self.min is None:
            return f"{self.metric} <= {self.max:g}"
        if self.max is None:
            return f"{self.metric} >= {self.min:g}"
        return f"{self.min:g} <= {self.metric} <= {self.max:g}"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a task says of one number that it measures."""

    name: str
    goal: Goal
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of a trial after `step` steps (epochs) of training.

    `seconds` is the time spent in training up to here, over all attempts. Metrics are finite: a trial that would
    report NaN or infinity has failed as DIVERGED.
    """

    step: int
    metrics: Mapping[str, float]
    seconds: float


def best_measurement(measurements: Sequence[Measurement], objective: Objective) -> Measurement | None:
    """The measurement with the best value of `objective`, the earliest among equals; None where none has it."""
    scored = [one for one in measurements if objective.metric in one.metrics]
    return max(scored, key=lambda one: (objective.sign * one.metrics[objective.metric], -one.step), default=None)

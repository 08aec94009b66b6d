"""AutoHAS (arXiv 2006.03656): architecture and hyperparameters by weight sharing.

The first ask is for a supernet, which a worker trains while its controller learns a distribution over candidates. The
last measurement of that trial names finalists, and later asks return them in their order.

The authors publish no settings of their controller: the share of frozen steps is the share in TuNAS (arXiv 2008.06120),
the other defaults are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from searchsvc.algorithms.base import Algorithm, Problem
from searchsvc.algorithms.options import MethodOptions
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.states import TrialKind
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces.space import Space

FINALIST = "finalist"
"""Metrics `finalist/<rank>/<parameter>` in the last measurement of a supernet hold its finalists, as matrix entries."""


class SoftLimit(BaseModel):
    """A limit on a cost that may be exceeded: above it, weight * (cost / max - 1) is subtracted from the reward."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    metric: str
    max: Annotated[float, Field(gt=0)]
    weight: Annotated[float, Field(gt=0)] = 0.1


class AutohasOptions(MethodOptions):
    """Options of the supernet's training, of its controller and of the finalists."""

    variant: Literal["reinforce", "differentiable"] = Field(
        "reinforce", description="How the distributions are updated: `reinforce` or `differentiable`."
    )
    epochs: int = Field(0, ge=0, le=100_000, description="Epochs of the supernet; 0: twice the epochs of a trial.")
    logs_per_epoch: int = Field(
        1, ge=1, le=10_000, description="Measurements and checkpoints of the supernet per epoch."
    )
    controller_every: int = Field(
        2, ge=1, le=10_000, description="Steps of the shared weights per step of the controller."
    )
    samples: int = Field(2, ge=1, le=1024, description="Candidates per step of the controller, in each process.")
    learning_rate: float = Field(
        0.0, ge=0, le=10, description="Learning rate of the controller's Adam; 0: derived from its number of steps."
    )
    frozen_share: float = Field(
        0.25, ge=0, lt=1, description="Fraction of the steps during which the distributions stay uniform."
    )
    baseline_momentum: float = Field(
        0.5, ge=0, lt=1, description="Momentum of the moving mean of rewards (`reinforce`)."
    )
    spread: float = Field(
        1.0, gt=0, le=10, description="Initial spread of the coefficients of a basis around their softmax."
    )
    last_spread: float = Field(
        0.25, gt=0, le=10, description="Final spread of the coefficients; the spread falls geometrically."
    )
    temperature: float = Field(
        1.0, gt=0, le=100, description="Temperature of the softmax over choices (`differentiable`)."
    )
    basis_values: int = Field(5, ge=2, le=100, description="Size of the basis that replaces a range of floats.")
    reward_images: int = Field(256, ge=1, description="Validation images per step on which a candidate is scored.")
    finalists: int = Field(
        8, ge=1, le=1000, description="Candidates that are trained from scratch, if the budget allows."
    )
    scored: int = Field(
        24, ge=1, le=100_000, description="Draws at the end, from which the finalists are selected."
    )
    soft_limits: list[SoftLimit] = Field(
        [], max_length=8, description="Limits on costs: above `max`, a cost reduces the reward."
    )

    @model_validator(mode="after")
    def _check_limits_differ(self) -> Self:
        if len({limit.metric for limit in self.soft_limits}) < len(self.soft_limits):
            raise ValueError("soft_limits: each needs a metric of its own")
        return self


class Autohas(Algorithm):
    """Asks for a supernet, then for its finalists."""

    learns_from_histories = True

    def __init__(self, problem: Problem, options: AutohasOptions) -> None:
        """Raises InvalidInput if there are several objectives or if a soft limit names a metric that is not a cost.

        The pointers are `/name` and, for example, `/soft_limits/0/metric`.
        """
        super().__init__(problem)
        if len(problem.objectives) > 1:
            raise InvalidInput.at("/name", "autohas searches one objective; for several use nsga2, tpe or fbnetv3")
        if faults := [*_unknown_costs(problem, options.soft_limits)]:
            raise InvalidInput(faults)
        self._supernet = 0
        """The ask of the supernet, counted from 1; 0 if there is none."""
        self._finalists: list[Candidate] | None = None
        """None until the supernet has reported them."""

    def kind(self, asks: int) -> TrialKind:
        return TrialKind.SUPERNET if asks == self._supernet else TrialKind.CANDIDATE

    def remaining(self) -> int:
        """Finalists that have not been asked for; 1 until the supernet has reported them."""
        return 1 if self._finalists is None else max(0, len(self._finalists) - (self._asks - self._supernet))

    def tell(self, observations: Sequence[Observation]) -> None:
        """Learn from supernets only. After a failure the supernet stays pending: it may be tried again."""
        for observation in observations:
            if observation.candidate.values:
                continue
            if observation.metrics is not None:
                last = observation.history[-1].metrics if observation.history else {}
                self._finalists = finalists(self._problem.space, last)
            elif observation.failure is None:
                self._supernet = 0

    def resume(self, candidate: Candidate, asks: int) -> None:
        super().resume(candidate, asks)
        if not candidate.values:
            self._supernet = asks

    def _next(self, asks: int) -> Candidate | None:
        if not self._supernet:
            self._supernet = asks
            return Candidate({})
        index = asks - 1 - self._supernet
        return self._finalists[index] if self._finalists is not None and index < len(self._finalists) else None


def finalists(space: Space, metrics: Mapping[str, float]) -> list[Candidate]:
    """Read the candidates that a supernet names in its last measurement, best first."""
    rows: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for name, value in metrics.items():
        kind, _, place = name.partition("/")
        if kind == FINALIST:
            rank, _, parameter = place.partition("/")
            rows[int(rank)][parameter] = value
    matrix = [[rows[rank].get(name, np.nan) for name in space.names] for rank in sorted(rows)]  # (finalists, d)
    return space.from_matrix(np.array(matrix, dtype=np.float64).reshape(len(rows), len(space)))


def _unknown_costs(problem: Problem, limits: Sequence[SoftLimit]) -> Iterator[Fault]:
    costs = problem.cost_model.metrics
    for index, limit in enumerate(limits):
        if limit.metric not in costs:
            hint = f"there are {', '.join(costs)}" if costs else "nothing is, of this space"
            yield Fault(f"/soft_limits/{index}/metric", f"{limit.metric!r} is not known before training; {hint}")

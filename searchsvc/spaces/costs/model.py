"""CostModel: the costs of every candidate of a space before training, and the check of limits on costs.

| symbol | meaning | shape |
|---|---|---|
| M | candidates, as in `searchsvc.spaces.space` | (n, d) |
| costs | FLOPs, parameters, latency, ..., by metric | (n,) each |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint
from searchsvc.spaces.space import Matrix, Space

Costs: TypeAlias = Mapping[str, Matrix]
"""metric -> (n,)"""
CostFunction: TypeAlias = Callable[[Matrix], Costs]
"""Map from M (n, d) with n > 0 to costs; the metrics are the same for every matrix."""

FLOPS, PARAMS = "flops", "params"
COUNTED: Final = (FLOPS, PARAMS)
"""The metrics that are counted for every network; latency is measured."""


class CostModel:
    """Exact costs of all candidates of a space, vectorised."""

    __slots__ = ("_function", "metrics")

    def __init__(self, metrics: Iterable[str], function: CostFunction) -> None:
        self.metrics = tuple(metrics)
        self._function = function

    @classmethod
    def of(cls, costs: CostModel | CostFunction | None, space: Space) -> CostModel:
        """Wrap a user's function; the costs of a sampled candidate of `space` show its metrics."""
        if costs is None or isinstance(costs, CostModel):
            return costs or NO_COSTS
        return cls(costs(space.sample(1, np.random.default_rng(0))), costs)

    def __call__(self, matrix: Matrix) -> Costs:
        """Return metric -> (n,) for M (n, d). The function is never called with an empty matrix."""
        if not len(matrix):
            return {metric: np.empty(0) for metric in self.metrics}
        return self._function(matrix)

    def __or__(self, other: CostModel) -> CostModel:
        """Return a model of the metrics of both; as for dicts, `other` determines the metrics that both have."""
        metrics = dict.fromkeys((*self.metrics, *other.metrics))
        return CostModel(metrics, lambda matrix: {**self(matrix), **other(matrix)})

    def split(self, constraints: Iterable[Constraint]) -> tuple[tuple[Constraint, ...], tuple[Constraint, ...]]:
        """Return (hard, outcome): constraints on metrics of this model, and constraints on metrics of the training."""
        constraints = tuple(constraints)
        hard = tuple(constraint for constraint in constraints if constraint.metric in self.metrics)
        return hard, tuple(constraint for constraint in constraints if constraint.metric not in self.metrics)

    def within(self, matrix: Matrix, constraints: Sequence[Constraint]) -> NDArray[np.bool_]:
        """Return (n,): whether each row of M (n, d) keeps all `constraints`, which must be on metrics of this model."""
        return within(self(matrix) if constraints else {}, constraints, len(matrix))


NO_COSTS: Final = CostModel((), lambda _: {})
"""The model of a space without known costs before training."""


def broken(values: Costs, constraints: Sequence[Constraint], count: int) -> NDArray[np.bool_]:
    """Return (c, n): whether each of `count` candidates breaks each constraint. NaN breaks every limit on its metric.

    `values` has the metric of every constraint: costs or measured results.
    """
    result = np.zeros((len(constraints), count), dtype=bool)
    for index, constraint in enumerate(constraints):
        result[index] = ~(constraint.excess(values[constraint.metric]) <= 0)  # comparisons with NaN are false
    return result


def within(values: Costs, constraints: Sequence[Constraint], count: int) -> NDArray[np.bool_]:
    """Return (n,): whether each of `count` candidates keeps all constraints; see `broken`."""
    return np.asarray(~broken(values, constraints, count).any(axis=0))


def by_choice(column: int, models: Sequence[CostModel]) -> CostModel:
    """Join a model per choice of a parameter; `column` of M holds the index of the choice."""
    metrics = tuple(dict.fromkeys(metric for model in models for metric in model.metrics))

    def costs(matrix: Matrix) -> Costs:
        result = {metric: np.full(len(matrix), np.nan) for metric in metrics}
        for code, model in enumerate(models):
            rows = np.flatnonzero(matrix[:, column] == code)
            for metric, values in model(matrix[rows]).items():
                result[metric][rows] = values
        return result

    return CostModel(metrics, costs)

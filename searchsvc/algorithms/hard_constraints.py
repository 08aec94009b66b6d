"""Hard constraints: limits on costs, which are checked before a candidate is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint
from searchsvc.spaces.costs.model import CostModel, broken
from searchsvc.spaces.space import Matrix


@dataclass(frozen=True, slots=True)
class Judgement:
    """Costs of n candidates, and the hard constraints that they break."""

    costs: Mapping[str, Matrix]
    """metric -> (n,)"""
    broken: NDArray[np.bool_]
    """(c, n) whether each candidate breaks each constraint."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) whether each candidate keeps all constraints."""
        feasible: NDArray[np.bool_] = ~np.logical_or.reduce(self.broken, axis=0)
        return feasible

    def costs_of(self, row: int) -> dict[str, float]:
        """metric -> the cost of the candidate in row `row`."""
        return {metric: float(values[row]) for metric, values in self.costs.items()}


@dataclass(frozen=True, slots=True)
class HardConstraints:
    """The hard constraints of a job, and the cost model that evaluates them."""

    cost_model: CostModel
    hard: Sequence[Constraint]

    def judge(self, matrix: Matrix) -> Judgement:
        """Evaluate candidates (n, d)."""
        costs = self.cost_model(matrix)
        return Judgement(costs, broken(costs, self.hard, len(matrix)))

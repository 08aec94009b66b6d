"""Hard constraints: what the cost model says of candidates before any of them is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.metrics import Constraint
from searchsvc.errors import NothingFeasible
from searchsvc.spaces.costs.model import CostModel, broken
from searchsvc.spaces.space import Matrix


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of n candidates before training."""

    costs: Mapping[str, Matrix]
    """metric -> (n,)"""
    broken: NDArray[np.bool_]
    """(c, n): whether a hard constraint is broken."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,)"""
        feasible: NDArray[np.bool_] = ~np.logical_or.reduce(self.broken, axis=0)
        return feasible

    def costs_of(self, row: int) -> dict[str, float]:
        return {metric: float(values[row]) for metric, values in self.costs.items()}


@dataclass(frozen=True, slots=True)
class HardConstraints:
    """The hard constraints of one job and the cost model that decides them."""

    cost_model: CostModel
    hard: Sequence[Constraint]

    def judge(self, matrix: Matrix) -> Judgement:
        """Costs and broken constraints of (n, d)."""
        costs = self.cost_model(matrix)
        return Judgement(costs, broken(costs, self.hard, len(matrix)))


@dataclass(slots=True)
class Rejections:
    """What happened to the candidates since the last one that was proposed."""

    rejected: dict[str, int] = field(default_factory=dict)
    answered: list[int] = field(default_factory=list)
    tries: int = 0
    closest: tuple[float, str] = (np.inf, "")
    """The least sum of relative excesses among those rejected, and what broke its limits there."""

    def reject(self, hard: Sequence[Constraint], judgement: Judgement, rows: slice) -> None:
        """Count those of `rows` that broke something, by what they broke."""
        broken = judgement.broken[:, rows]
        self.tries += int(broken.any(axis=0).sum())
        for constraint, flags in zip(hard, broken, strict=True):
            if flags.any():
                self.rejected[str(constraint)] = self.rejected.get(str(constraint), 0) + int(flags.sum())
        self._keep_closest(hard, judgement, rows)

    def _keep_closest(self, hard: Sequence[Constraint], judgement: Judgement, rows: slice) -> None:
        broken = judgement.broken[:, rows]
        excess = np.zeros(broken.shape[1])
        for constraint in hard:
            limits = [abs(limit) for limit in (constraint.max, constraint.min) if limit]
            excess += constraint.excess(judgement.costs[constraint.metric][rows]) / (min(limits) if limits else 1.0)
        excess[~broken.any(axis=0) | np.isnan(excess)] = np.inf
        if excess.size and excess.min() < self.closest[0]:
            row = int(excess.argmin())
            words = [
                f"{one.metric} {float(judgement.costs[one.metric][rows][row]):.6g} (must be {one})"
                for one, flags in zip(hard, broken, strict=True)
                if flags[row]
            ]
            self.closest = float(excess[row]), ", ".join(words)

    def nothing_feasible(self) -> NothingFeasible:
        """The error that says how many were tried, what they broke, and which came closest. Counting begins anew."""
        tries, self.tries = self.tries, 0
        counts = ", ".join(f"{count} broke {reason}" for reason, count in self.rejected.items())
        closest = f"; the closest had {self.closest[1]}" if self.closest[1] else ""
        return NothingFeasible(
            f"none of {tries} candidates in a row met the hard constraints: {counts}{closest}. "
            "Widen the limits, or narrow the space to where they hold"
        )

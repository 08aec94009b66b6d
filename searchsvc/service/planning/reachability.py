"""Whether the hard constraints of a job can be met: by sampling, and where no sample meets them, by descent.

| symbol | meaning | shape |
|---|---|---|
| U | candidates as points of the unit cube | (n, d) |
| e | by how much each candidate breaks a constraint | (n,) |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import Constraint
from searchsvc.errors import Fault
from searchsvc.spaces import CostModel, Matrix, Space
from searchsvc.spaces.costs.model import within

SAMPLES = 4096
_PARENTS = 64
_CHILDREN = 512
_GENERATIONS = 40
_LEVELS = 17  # values tried per parameter in the last, greedy part


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What was found of the hard constraints."""

    share: float
    """Of `sampled` random candidates, those that keep all of them."""
    sampled: int
    faults: tuple[Fault, ...]
    """Constraints that nothing meets, with pointers into a list of all constraints of the job."""
    example: Matrix | None
    """(d,) a candidate that keeps all of them; None where there are faults."""


def examine(
    space: Space, cost_model: CostModel, constraints: Sequence[Constraint], hard: Sequence[Constraint], seed: int = 0
) -> Feasibility:
    """Sample the space; where nothing is feasible, search for what comes nearest. `hard` is a part of `constraints`."""
    generator = np.random.default_rng([seed, SAMPLES])
    unit = generator.random((SAMPLES, len(space)))
    sample = space.from_unit(unit)
    costs = cost_model(sample)
    feasible = within(costs, hard, SAMPLES)
    if feasible.any():
        return Feasibility(float(feasible.mean()), SAMPLES, (), sample[feasible.argmax()])
    excess = [_relative(one, costs[one.metric]) for one in hard]
    search = _Search(space, cost_model, generator, unit)
    faults = [
        Fault(f"/{constraints.index(one)}", _unreachable(one, found))
        for one, row in zip(hard, excess, strict=True)
        if row.min() > 0 and not one.holds(found := search.nearest(one))
    ]
    example = None if faults else search.feasible(hard)
    if not faults and example is None:
        together = " and ".join(map(str, hard))
        faults = [Fault("", f"no candidate meets {together} together, though each can be met by itself")]
    return Feasibility(0.0, SAMPLES, tuple(faults), example)


def _unreachable(constraint: Constraint, found: float) -> str:
    end = "smallest" if constraint.max is not None and found > constraint.max else "largest"
    kind = end if constraint.max is None or constraint.min is None else "nearest"
    return f"{constraint} cannot be reached: the {kind} {constraint.metric} found in this space is {_number(found)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def _relative(constraint: Constraint, values: Matrix) -> NDArray[np.float64]:
    """The excess in units of the limit, so that those of several constraints can be added."""
    limit = constraint.max if constraint.max is not None else constraint.min
    return constraint.excess(np.asarray(values, dtype=np.float64)) / max(1.0, abs(limit or 0.0))


@dataclass(frozen=True, slots=True)
class _Search:
    space: Space
    cost_model: CostModel
    generator: np.random.Generator
    start: Matrix
    """(n, d) points of the unit cube to begin with."""

    def nearest(self, constraint: Constraint) -> float:
        """The value of the constraint's metric that comes nearest to its limits."""
        best = self._descend([constraint])
        return float(self.cost_model(self.space.from_unit(best[None, :]))[constraint.metric][0])

    def feasible(self, hard: Sequence[Constraint]) -> Matrix | None:
        """(d,) a candidate that keeps all of them, where one is found."""
        best = self._descend(hard)[None, :]
        return self.space.from_unit(best)[0] if self._loss(hard)(best)[0] == 0 else None

    def _loss(self, hard: Sequence[Constraint]) -> Callable[[Matrix], NDArray[np.float64]]:
        def loss(unit: Matrix) -> NDArray[np.float64]:
            costs = self.cost_model(self.space.from_unit(unit))
            return np.asarray(sum(_relative(one, costs[one.metric]) for one in hard))

        return loss

    def _descend(self, hard: Sequence[Constraint]) -> NDArray[np.float64]:
        """(d,): first evolution, which is wide, then one parameter at a time, which is thorough."""
        loss = self._loss(hard)
        unit, losses = self.start, loss(self.start)
        for _ in range(_GENERATIONS):
            best = np.argsort(losses, kind="stable")[:_PARENTS]
            unit, losses = unit[best], losses[best]
            if losses[0] == 0:
                return np.asarray(unit[0])
            children = self._children(unit)
            unit, losses = np.vstack([unit, children]), np.concatenate([losses, loss(children)])
        return self._greedy(unit[np.argmin(losses)], loss)

    def _children(self, parents: Matrix) -> Matrix:
        n, d = _CHILDREN, parents.shape[1]
        first, second = self.generator.integers(len(parents), size=(2, n))
        crossed = np.where(self.generator.random((n, d)) < 0.5, parents[first], parents[second])
        mutated = self.generator.random((n, d)) < max(1.0 / d, 0.1)
        return np.where(mutated, self.generator.random((n, d)), crossed)

    def _greedy(self, point: NDArray[np.float64], loss: Callable[[Matrix], NDArray[np.float64]]) -> NDArray[np.float64]:
        levels = np.linspace(0.0, 1.0, _LEVELS)
        for _ in range(8):
            before = loss(point[None, :])[0]
            for column in range(len(point)):
                tried = np.repeat(point[None, :], _LEVELS + 1, axis=0)
                tried[1:, column] = levels
                point = tried[np.argmin(loss(tried))]
            if loss(point[None, :])[0] >= before:
                break
        return point

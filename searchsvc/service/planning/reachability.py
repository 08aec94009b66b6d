"""Check that the hard constraints of a job can be met, by sampling and, if no sample meets them, by descent.

| symbol | meaning | shape |
|---|---|---|
| U | candidates as points of the unit cube | (n, d) |
| e | excess of each candidate over the limits of a constraint | (n,) |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import Constraint
from searchsvc.errors import Fault, InvalidInput
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.spaces import CostModel, Matrix, Space
from searchsvc.spaces.costs.model import broken

SAMPLES = 4096
_PARENTS = 64
_CHILDREN = 512
_GENERATIONS = 40
_LEVELS = 17  # values tried per parameter in the last, greedy part


@dataclass(frozen=True, slots=True)
class Reachability:
    """The share of a space that keeps the hard constraints."""

    share: float
    """Share of `sampled` random candidates that keep all constraints."""
    sampled: int
    faults: tuple[Fault, ...]
    """Constraints that no candidate meets, with pointers into the list of all constraints of the job."""
    example: Matrix | None
    """(d,) a candidate that keeps all constraints; None if there are faults."""


def check_reachable(blueprint: Blueprint) -> Reachability:
    """Examine the hard constraints of a job. Raises InvalidInput if no candidate keeps them."""
    if not blueprint.hard:
        return Reachability(1.0, 0, (), None)
    spec = blueprint.spec
    reachability = examine(blueprint.space, blueprint.cost_model, spec.constraints, blueprint.hard, spec.seed)
    if reachability.faults:
        raise InvalidInput(reachability.faults).below("/constraints")
    return reachability


def examine(
    space: Space, cost_model: CostModel, constraints: Sequence[Constraint], hard: Sequence[Constraint], seed: int = 0
) -> Reachability:
    """Sample the space; if no sample is feasible, search for the nearest candidate. `hard` is part of `constraints`."""
    generator = np.random.default_rng([seed, SAMPLES])
    unit = generator.random((SAMPLES, len(space)))  # (n, d)
    sample = space.from_unit(unit)
    breaks = broken(cost_model(sample), hard, SAMPLES)  # (c, n)
    feasible = ~breaks.any(axis=0)  # (n,)
    if feasible.any():
        return Reachability(float(feasible.mean()), SAMPLES, (), sample[feasible.argmax()])
    search = _DescentSearch(space, cost_model, generator, unit)
    faults = [
        Fault(f"/{constraints.index(constraint)}", _unreachable(constraint, nearest))
        for constraint, broken_by in zip(hard, breaks, strict=True)
        if broken_by.all() and not constraint.holds(nearest := search.nearest(constraint))
    ]
    example = None if faults else search.feasible(hard)
    if not faults and example is None:
        together = " and ".join(map(str, hard))
        faults = [Fault("", f"no candidate meets {together} together, though each can be met by itself")]
    return Reachability(0.0, SAMPLES, tuple(faults), example)


def _unreachable(constraint: Constraint, nearest: float) -> str:
    if math.isnan(nearest):
        return f"{constraint} cannot be reached: {constraint.metric} is NaN for all candidates tried"
    end = "smallest" if constraint.max is not None and nearest > constraint.max else "largest"
    kind = end if constraint.max is None or constraint.min is None else "nearest"
    return f"{constraint} cannot be reached: the {kind} {constraint.metric} found in this space is {_number(nearest)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def _relative(constraint: Constraint, values: Matrix) -> NDArray[np.float64]:
    """Return e (n,) in units of the limit, so that the excesses over several constraints can be added.

    The excess of NaN is infinite.
    """
    limit = constraint.max if constraint.max is not None else constraint.min
    excess = constraint.excess(np.asarray(values, dtype=np.float64)) / max(1.0, abs(limit or 0.0))
    return np.where(np.isnan(excess), np.inf, excess)


@dataclass(frozen=True, slots=True)
class _DescentSearch:
    """Looks for candidates near the limits of constraints."""

    space: Space
    cost_model: CostModel
    generator: np.random.Generator
    start: Matrix
    """(n, d) points of the unit cube from which the search starts."""

    def nearest(self, constraint: Constraint) -> float:
        """Return the value of the constraint's metric that is nearest to its limits."""
        best = self._descend([constraint])
        return float(self.cost_model(self.space.from_unit(best[None, :]))[constraint.metric][0])

    def feasible(self, hard: Sequence[Constraint]) -> Matrix | None:
        """Return a candidate (d,) that keeps all constraints; None if the search finds none."""
        best = self._descend(hard)[None, :]
        return self.space.from_unit(best)[0] if self._loss(hard)(best)[0] == 0 else None

    def _loss(self, hard: Sequence[Constraint]) -> Callable[[Matrix], NDArray[np.float64]]:
        def loss(unit: Matrix) -> NDArray[np.float64]:
            costs = self.cost_model(self.space.from_unit(unit))
            return np.asarray(sum(_relative(constraint, costs[constraint.metric]) for constraint in hard))

        return loss

    def _descend(self, hard: Sequence[Constraint]) -> NDArray[np.float64]:
        """Return a point (d,) of small loss: by evolution, which is wide, then parameter by parameter."""
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

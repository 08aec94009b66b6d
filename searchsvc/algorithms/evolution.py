"""Regularised evolution (Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", alg. 1).

The population is the last `population` results: the oldest dies, however good. A child is a mutation of the best of
`tournament` members drawn with replacement. Until the population is full, candidates are drawn uniformly.

A mutation changes a single active parameter: a choice to another choice, a number by a step in the unit cube.
Parameters that become active by it are drawn uniformly. With several objectives the best member of a tournament has the
lowest non-dominated rank and, within the rank, the largest crowding distance. Members that break an outcome constraint
come last, ordered by their excess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from searchsvc.algorithms.base import Algorithm, Problem, generator
from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import crowding_distances, signed_values, slacks
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.parameters import Categorical
from searchsvc.domain.pareto import nondominated_ranks
from searchsvc.spaces.space import Matrix

_MUTATION_TRIES = 32


class EvolutionOptions(MethodOptions):
    """Options of evolution.

    The defaults keep the paper's ratio of population to tournament for budgets of hundreds of trials.
    """

    example: ClassVar[Mapping[str, Any]] = {"population": 6, "tournament": 3}

    population: Annotated[int, Field(ge=2, le=100_000, description="Results that may become parents.")] = 20
    tournament: Annotated[
        int, Field(ge=1, le=100_000, description="Members drawn; the best of them is mutated.")
    ] = 5
    step: Annotated[
        float,
        Field(gt=0, le=10, description="Standard deviation of the mutation of a number, as a fraction of its range."),
    ] = 0.2


@dataclass(frozen=True, slots=True)
class Member:
    """A result that may become a parent."""

    row: Matrix
    """(d,) row of the candidate."""
    values: tuple[float, ...]
    """(m,) objectives, larger is better."""
    violation: float
    """Sum of the excesses over outcome constraints."""


class Evolution(Algorithm):
    """Regularised evolution on any space, for any number of objectives. Pending candidates play no part."""

    def __init__(self, problem: Problem, options: EvolutionOptions) -> None:
        super().__init__(problem)
        self._options = options
        self._members: list[Member] = []

    def tell(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            values = signed_values(observation.metrics, self._problem.objectives)
            if values is not None and observation.metrics is not None:
                excesses = slacks(observation.metrics, self._problem.constraints)
                violation = np.inf if excesses is None else sum(max(0.0, excess) for excess in excesses)
                row = self._problem.space.to_matrix([observation.candidate])[0]
                self._members.append(Member(row, values, violation))

    def _next(self, asks: int) -> Candidate:
        return self._problem.space.from_matrix(self._propose(generator(self.seed, asks - 1))[None])[0]

    def _propose(self, random: np.random.Generator) -> Matrix:
        """(d,) a uniform draw; a child once the population is full."""
        if len(self._members) < self._options.population:
            drawn: Matrix = self._problem.space.sample(1, random)[0]
            return drawn
        population = self._members[-self._options.population :]
        tournament = random.integers(len(population), size=self._options.tournament)
        return self._mutate(best_of([population[index] for index in tournament]).row, random)

    def _mutate(self, parent: Matrix, random: np.random.Generator) -> Matrix:
        """(d,) child of `parent` (d,)."""
        space = self._problem.space
        child = parent.copy()
        active = np.flatnonzero(~np.isnan(parent))  # columns
        for column in random.permutation(active):
            child[column] = self._different_value(int(column), parent, random)
            if child[column] != parent[column]:
                break
        child = space.activate(child[None])[0]  # (d,), NaN for a missing value
        # Parameters that the change made active get values from a uniform draw that agrees with the child elsewhere.
        unit = space.to_unit(child[None])  # (1, d), NaN for a missing value
        drawn = space.from_unit(np.where(np.isnan(unit), random.random(unit.shape), unit))[0]  # (d,)
        completed: Matrix = np.where(np.isnan(child), drawn, child)
        return completed

    def _different_value(self, column: int, parent: Matrix, random: np.random.Generator) -> float:
        """A different value for parameter `column` of `parent` (d,); the same value if there is no other."""
        space = self._problem.space
        parameter = space.parameters[column]
        if isinstance(parameter, Categorical):
            others = len(parameter.choices) - 1
            step = random.integers(others) + 1 if others else 0
            return float((parent[column] + step) % len(parameter.choices))
        unit = np.where(np.isnan(parent), 0.5, space.to_unit(parent[None])[0])  # (d,)
        tries = np.tile(unit, (_MUTATION_TRIES, 1))  # (tries, d)
        # The step doubles along the tries, so that even on a coarse grid some try reaches another value.
        widths = self._options.step * 2.0 ** np.arange(_MUTATION_TRIES)  # (tries,)
        tries[:, column] = _reflected(unit[column] + widths * random.standard_normal(_MUTATION_TRIES))
        values = space.from_unit(tries)[:, column]  # (tries,)
        changed = np.flatnonzero(values != parent[column])  # indices of tries
        return float(values[changed[0]]) if changed.size else float(parent[column])


def best_of(members: Sequence[Member]) -> Member:
    """The winner of a tournament; the first member if several are equal."""
    violations = np.array([member.violation for member in members])  # (n,)
    if violations.min() > 0:
        return members[int(violations.argmin())]
    feasible = [member for member in members if member.violation == 0]
    values = np.array([member.values for member in feasible])  # (n, m)
    if values.shape[1] == 1:
        return feasible[int(values[:, 0].argmax())]
    front = np.flatnonzero(nondominated_ranks(values) == 0)  # indices of rows
    return feasible[int(front[crowding_distances(values[front]).argmax()])]


def _reflected(unit: Matrix) -> Matrix:
    """Mirror points at 0 and 1 until they lie in between."""
    folded = np.mod(unit, 2.0)
    mirrored: Matrix = np.where(folded > 1.0, 2.0 - folded, folded)
    return mirrored

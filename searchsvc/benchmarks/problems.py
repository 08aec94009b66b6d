"""Benchmark problems: a statement, an evaluation, and the true values by which a search is judged.

Each wrapper changes a single aspect of a problem: `SeedNoise` the results, `Limited` the allowed candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from searchsvc.benchmarks.tables import TABLES, BenchmarkTable
from searchsvc.domain.candidates import Candidate
from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.spaces.costs.model import CostModel, within
from searchsvc.spaces.space import Matrix, Space

LIMITED_SHARE = 0.25
"""The share of candidates that keep a limit whose value is not specified."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The description of a problem that a search receives before it begins."""

    space: Space
    objective: Objective
    cost_model: CostModel
    limits: tuple[Constraint, ...] = ()
    """Hard constraints, on metrics of the cost model."""


class BenchmarkProblem(Protocol):
    """A problem with a known answer.

    ::

        evaluate(candidate, 7) -> {"accuracy": 90.9, "flops": 4e7}    result of evaluation number 7 of a search
        truth(candidate)       -> 91.2                                the value by which the candidate is judged
    """

    @property
    def statement(self) -> Statement: ...

    @property
    def optimum(self) -> float:
        """The best true value within the limits."""

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        """Return the metrics that evaluation number `evaluation` (0, 1, ...) measures, costs included."""

    def truth(self, candidate: Candidate) -> float:
        """Return the objective without noise."""


class Tabular:
    """A table as a problem: an evaluation returns the mean over the training seeds."""

    def __init__(self, table: BenchmarkTable) -> None:
        self.table = table
        self.statement = Statement(table.space, table.objective, table.cost_model)
        self.optimum = best(table.means, table.objective)

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:  # noqa: ARG002 - all are equal
        row = self.row(candidate)
        costs = {metric: float(column[row]) for metric, column in self.table.costs.items()}
        return costs | {self.table.objective.metric: float(self.table.means[row])}

    def truth(self, candidate: Candidate) -> float:
        return float(self.table.means[self.row(candidate)])

    def row(self, candidate: Candidate) -> int:
        """Return the row of the candidate in the table."""
        return int(self.table.rows(self.table.space.to_matrix([candidate]))[0])


class SeedNoise:
    """A table with noise: an evaluation returns the result of a training that is drawn by (seed, evaluation)."""

    def __init__(self, problem: Tabular, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self.statement = problem.statement
        self.optimum = problem.optimum

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        table = self._problem.table
        trainings = table.values[self._problem.row(candidate)]
        trainings = trainings[~np.isnan(trainings)]
        index = np.random.default_rng([self._seed, evaluation]).integers(len(trainings))
        return {**self._problem.evaluate(candidate, evaluation), table.objective.metric: float(trainings[index])}

    def truth(self, candidate: Candidate) -> float:
        return self._problem.truth(candidate)


class Limited:
    """A problem with an additional hard limit."""

    def __init__(self, problem: BenchmarkProblem, table: BenchmarkTable, limit: Constraint) -> None:
        """Add `limit`, on a cost of `table`, the table of the problem. Raises InvalidInput if no candidate keeps it."""
        self._problem = problem
        limits = (*problem.statement.limits, limit)
        rows = within(table.costs, limits, len(table.means))
        if not rows.any():
            raise InvalidInput.at("/limit", f"no candidate of the table is within {', '.join(map(str, limits))}")
        self.statement = replace(problem.statement, limits=limits)
        self.optimum = best(table.means[rows], table.objective)

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        return self._problem.evaluate(candidate, evaluation)

    def truth(self, candidate: Candidate) -> float:
        return self._problem.truth(candidate)


def best(values: Matrix, objective: Objective) -> float:
    """Return the best of `values` (n,)."""
    return objective.sign * float((objective.sign * values).max())


def limit_to_share(table: BenchmarkTable, metric: str, share: float = LIMITED_SHARE) -> Constraint:
    """Return the limit on a cost that `share` of the table's candidates keep. Raises NotFound for an unknown cost."""
    if metric not in table.costs:
        raise NotFound(f"no cost {metric!r} in this table; it has {', '.join(table.costs)}")
    return Constraint(metric=metric, max=float(np.quantile(table.costs[metric], share)))


def table_of(name: str, folder: Path) -> BenchmarkTable:
    """Read the table of the problem `name` from `folder`. Raises NotFound."""
    table = name.partition(":")[0]
    if table not in TABLES:
        raise NotFound(f"no table {table!r}; there are {', '.join(TABLES)}")
    return TABLES[table](folder)


def noisy_problem(name: str, table: BenchmarkTable, seed: int) -> BenchmarkProblem:
    """Return the problem `TABLE` or `TABLE:COST`; the latter limits a cost so that a quarter of the candidates keep it.

    Raises NotFound for an unknown cost.
    """
    problem = SeedNoise(Tabular(table), seed)
    cost = name.partition(":")[2]
    return Limited(problem, table, limit_to_share(table, cost)) if cost else problem

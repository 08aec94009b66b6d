"""Benchmark problems: a statement, an evaluation, and the truth by which a search is judged.

Each wrapper changes one thing and hands on the rest: `SeedNoise` what a search sees, `Limited` what it may propose.
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
"""The share of candidates that a limit leaves where its value is not given."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a search is told of a problem before it begins."""

    space: Space
    objective: Objective
    cost_model: CostModel
    limits: tuple[Constraint, ...] = ()
    """Hard: on metrics that the cost model knows."""


class BenchmarkProblem(Protocol):
    """A problem whose answer is known.

    ::

        evaluate(candidate, 7) -> {"accuracy": 90.9, "flops": 4e7}    what evaluation number 7 of a search sees
        truth(candidate)       -> 91.2                                the value by which it is judged
    """

    @property
    def statement(self) -> Statement: ...

    @property
    def optimum(self) -> float:
        """The best truth within the limits."""

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        """The metrics that evaluation number `evaluation` (0, 1, ...) measures, costs included."""

    def truth(self, candidate: Candidate) -> float:
        """The objective without noise."""


class Tabular:
    """A table as a problem: an evaluation gives the mean over the training seeds."""

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
        """Where the table has the candidate."""
        return int(self.table.rows(self.table.space.to_matrix([candidate]))[0])


class SeedNoise:
    """A table as a search meets it: an evaluation gives one of the trainings, drawn from (seed, evaluation)."""

    def __init__(self, problem: Tabular, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self.statement = problem.statement
        self.optimum = problem.optimum

    def evaluate(self, candidate: Candidate, evaluation: int) -> Mapping[str, float]:
        table = self._problem.table
        trainings = table.values[self._problem.row(candidate)]
        trainings = trainings[~np.isnan(trainings)]
        drawn = np.random.default_rng([self._seed, evaluation]).integers(len(trainings))
        return {**self._problem.evaluate(candidate, evaluation), table.objective.metric: float(trainings[drawn])}

    def truth(self, candidate: Candidate) -> float:
        return self._problem.truth(candidate)


class Limited:
    """A problem under one more hard limit."""

    def __init__(self, problem: BenchmarkProblem, table: BenchmarkTable, limit: Constraint) -> None:
        """`limit` is on a cost of `table`, whose candidates the problem has. Raises InvalidInput where none is left."""
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
    """The best of `values` (n,)."""
    return objective.sign * float((objective.sign * values).max())


def limit_to_share(table: BenchmarkTable, metric: str, share: float = LIMITED_SHARE) -> Constraint:
    """The limit on a cost that `share` of the table's candidates meet. Raises NotFound without such a cost."""
    if metric not in table.costs:
        raise NotFound(f"no cost {metric!r} in this table; it has {', '.join(table.costs)}")
    return Constraint(metric=metric, max=float(np.quantile(table.costs[metric], share)))


def table_of(name: str, folder: Path) -> BenchmarkTable:
    """The table that problem `name` is made of, read from `folder`. Raises NotFound."""
    table = name.partition(":")[0]
    if table not in TABLES:
        raise NotFound(f"no table {table!r}; there are {', '.join(TABLES)}")
    return TABLES[table](folder)


def noisy_problem(name: str, table: BenchmarkTable, seed: int) -> BenchmarkProblem:
    """The problem `TABLE` or `TABLE:COST`, the latter with the limit on a cost that a quarter of the candidates meet.

    Raises NotFound without such a cost.
    """
    problem = SeedNoise(Tabular(table), seed)
    cost = name.partition(":")[2]
    return Limited(problem, table, limit_to_share(table, cost)) if cost else problem

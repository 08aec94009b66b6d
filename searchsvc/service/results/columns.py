"""Results of a job as columns; evaluating 100,000 results takes a few milliseconds.

| symbol | meaning |
|---|---|
| n | results: trials that SUCCEEDED or were STOPPED and measured the first objective |
| m | objectives |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import Constraint, Objective, pareto_front

Row = tuple[int, int, Mapping[str, float]]
"""(number of the trial, position in the order of the results, costs and metrics of its best step)."""
Column = NDArray[np.float64]


def sample(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` of `count` indices, evenly spread, including the last index."""
    return np.unique(np.linspace(count - 1, 0, min(count, most)).round().astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class ResultColumns:
    """The results of trials in the order in which they ended."""

    numbers: NDArray[np.int64]
    """(n,) numbers of the trials."""
    places: NDArray[np.int64]
    """(n,) positions in the order of the results, increasing."""
    metrics: Mapping[str, Column]
    """Costs and metrics of the best steps, (n,) each; NaN if not measured."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> ResultColumns:
        """Convert stored rows, in any order."""
        ordered = sorted(rows, key=lambda row: row[1])
        names = dict.fromkeys(name for _, _, metrics in ordered for name in metrics)
        return cls(
            numbers=np.array([number for number, _, _ in ordered], dtype=np.int64),
            places=np.array([place for _, place, _ in ordered], dtype=np.int64),
            metrics={
                name: np.array([metrics.get(name, np.nan) for _, _, metrics in ordered], dtype=float) for name in names
            },
        )

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def last_place(self) -> int:
        """The position of the newest result; -1 before the first."""
        return int(self.places[-1]) if len(self) else -1

    def column(self, metric: str) -> Column:
        """Return the values (n,) of a metric; NaN if no result has it."""
        values = self.metrics.get(metric)
        return np.full(len(self), np.nan) if values is None else values

    def values(self, objectives: Iterable[Objective]) -> NDArray[np.float64]:
        """Return the objectives of all results (n, m); larger is better."""
        return np.column_stack([objective.sign * self.column(objective.metric) for objective in objectives])

    def within(self, constraints: Iterable[Constraint]) -> NDArray[np.bool_]:
        """Return the mask (n,) of results that keep every constraint; a limit on an unmeasured metric is broken."""
        within = np.ones(len(self), dtype=bool)
        for constraint in constraints:
            column = self.column(constraint.metric)
            low = -np.inf if constraint.min is None else constraint.min
            high = np.inf if constraint.max is None else constraint.max
            within &= (column >= low) & (column <= high)
        return within

    def best(self, objective: Objective, count: int) -> list[int]:
        """Return the trial numbers of the `count` best results, the best first, ties in the order of the results."""
        minimised = np.nan_to_num(-objective.sign * self.column(objective.metric), nan=np.inf)
        numbers: list[int] = self.numbers[np.argsort(minimised, kind="stable")[:count]].tolist()
        return numbers

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> ResultColumns:
        """Select results by index or by mask."""
        return ResultColumns(
            self.numbers[index], self.places[index], {name: column[index] for name, column in self.metrics.items()}
        )

    def joined(self, more: ResultColumns) -> ResultColumns:
        """Append results that ended later."""
        names = dict.fromkeys((*self.metrics, *more.metrics))
        return ResultColumns(
            np.concatenate([self.numbers, more.numbers]),
            np.concatenate([self.places, more.places]),
            {name: np.concatenate([self.column(name), more.column(name)]) for name in names},
        )

    def front(self, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> ResultColumns:
        """Return the results that keep the constraints and that no other such result dominates."""
        feasible = self.take(self.within(constraints))
        return feasible.take(pareto_front(feasible.values(objectives)))

"""Results: what the ended trials of a job reached, as columns. Looking at 100,000 of them takes some milliseconds.

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
"""(number of the trial, its place in the order in which results were told, costs and metrics of its best step)."""
Column = NDArray[np.float64]


def sample(count: int, most: int) -> NDArray[np.int64]:
    """Places of at most so many of `count` things, evenly spread, the last one among them."""
    return np.unique(np.linspace(count - 1, 0, min(count, most)).round().astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class ResultColumns:
    """In the order in which they ended."""

    numbers: NDArray[np.int64]
    """Of the trials: (n,)."""
    places: NDArray[np.int64]
    """In the order in which they were told: (n,), growing."""
    metrics: Mapping[str, Column]
    """Costs and metrics of the best steps, (n,) each; NaN where one was not measured."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> ResultColumns:
        """In any order."""
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
        """-1 before the first."""
        return int(self.places[-1]) if len(self) else -1

    def column(self, metric: str) -> Column:
        """(n,)."""
        found = self.metrics.get(metric)
        return np.full(len(self), np.nan) if found is None else found

    def values(self, objectives: Iterable[Objective]) -> NDArray[np.float64]:
        """(n, m), larger is better."""
        return np.column_stack([one.sign * self.column(one.metric) for one in objectives])

    def within(self, constraints: Iterable[Constraint]) -> NDArray[np.bool_]:
        """Which keep every constraint, (n,); one whose metric was not measured is not kept."""
        kept = np.ones(len(self), dtype=bool)
        for one in constraints:
            column = self.column(one.metric)
            low, high = -np.inf if one.min is None else one.min, np.inf if one.max is None else one.max
            kept &= (column >= low) & (column <= high)
        return kept

    def best(self, objective: Objective, count: int) -> list[int]:
        """The numbers of so many of them, the best first; equal ones in the order in which they ended."""
        minimised = np.nan_to_num(-objective.sign * self.column(objective.metric), nan=np.inf)
        found: list[int] = self.numbers[np.argsort(minimised, kind="stable")[:count]].tolist()
        return found

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> ResultColumns:
        """Those at these places, or where this is true."""
        return ResultColumns(
            self.numbers[index], self.places[index], {name: column[index] for name, column in self.metrics.items()}
        )

    def joined(self, more: ResultColumns) -> ResultColumns:
        """With those that ended later."""
        names = dict.fromkeys((*self.metrics, *more.metrics))
        return ResultColumns(
            np.concatenate([self.numbers, more.numbers]),
            np.concatenate([self.places, more.places]),
            {name: np.concatenate([self.column(name), more.column(name)]) for name in names},
        )

    def front(self, objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> ResultColumns:
        """Those that keep the constraints and that no other one dominates."""
        kept = self.take(self.within(constraints))
        return kept.take(pareto_front(kept.values(objectives)))

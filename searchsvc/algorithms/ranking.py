"""Ranking by one or several objectives: signed values, crowding distance, collections that stay sorted as they grow.

| symbol | meaning | shape |
|---|---|---|
| V | objectives, signed so that larger is better | (n, m) |

With several objectives, values are better if their non-dominated rank is lower; within a rank, if their crowding
distance is larger (NSGA-II: Deb et al. 2002, sections III-A and III-B).
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.spaces.space import Matrix


def signed_values(metrics: Mapping[str, float] | None, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """(m,) objectives, larger is better; None if any is missing or not finite."""
    if metrics is None:
        return None
    values = tuple(goal.sign * metrics.get(goal.metric, math.nan) for goal in objectives)
    return values if all(map(math.isfinite, values)) else None


def slacks(metrics: Mapping[str, float], constraints: Sequence[Constraint]) -> tuple[float, ...] | None:
    """(c,) excess over each limit, negative within it; None if a metric is missing or not finite."""
    values = [metrics.get(constraint.metric, math.nan) for constraint in constraints]
    if not all(map(math.isfinite, values)):
        return None
    return tuple(
        max(
            value - constraint.max if constraint.max is not None else -math.inf,
            constraint.min - value if constraint.min is not None else -math.inf,
        )
        for value, constraint in zip(values, constraints, strict=True)
    )


def crowding_distances(values: Matrix) -> Matrix:
    """(n,) distances in a front (n, m): the gap between both neighbours, summed over objectives; infinite at the ends.
    """
    n, m = values.shape
    distances = np.zeros(n)
    for column in range(m):
        order = np.argsort(values[:, column], kind="stable")  # (n,)
        ordered = values[order, column]  # (n,)
        width = ordered[-1] - ordered[0]
        if width > 0:
            gaps = np.full(n, np.inf)
            gaps[1:-1] = (ordered[2:] - ordered[:-2]) / width  # (n - 2,)
            distances[order] += gaps
    return distances


class RankedValues(Protocol):
    """A collection of objective values that counts its members that are better than given values."""

    def __len__(self) -> int: ...

    def add(self, values: tuple[float, ...]) -> None:
        """Add a member (m,)."""

    def count_better(self, values: tuple[float, ...]) -> int:
        """Count the members that are better than `values` (m,). Equal members are not."""


def ranked_values(objectives: int) -> RankedValues:
    """Create an empty collection for a number of objectives."""
    return SortedValues() if objectives == 1 else NondominatedFronts(objectives)


class SortedValues:
    """Values of a single objective: a sorted list."""

    def __init__(self) -> None:
        self._ascending: list[float] = []

    def __len__(self) -> int:
        return len(self._ascending)

    def add(self, values: tuple[float, ...]) -> None:
        insort(self._ascending, values[0])

    def count_better(self, values: tuple[float, ...]) -> int:
        return len(self._ascending) - bisect_right(self._ascending, values[0])


class NondominatedFronts:
    """Values of several objectives: non-dominated ranks, updated as members are added.

    A member's rank is the length of the longest chain of members above it that dominate each other, so an addition
    changes only the members that it dominates, each by 1 at most (Li et al. 2017, efficient non-domination level
    update).
    """

    def __init__(self, objectives: int) -> None:
        # The first `_count` columns are used; the arrays double in size when they are full.
        self._values = np.empty((objectives, 64))  # (m, capacity): comparisons run along memory
        self._ranks = np.zeros(64, dtype=np.int64)  # (capacity,)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, values: tuple[float, ...]) -> None:
        if self._count == len(self._ranks):
            self._values = np.concatenate([self._values, np.empty_like(self._values)], axis=1)
            self._ranks = np.concatenate([self._ranks, np.zeros_like(self._ranks)])
        rank = self._rank(values)
        self._values[:, self._count], self._ranks[self._count] = values, rank
        self._count += 1
        self._push_down(np.array([values]), rank)

    def count_better(self, values: tuple[float, ...]) -> int:
        row, rank, ranks = np.array(values), self._rank(values), self._ranks[: self._count]  # (m,), scalar, (members,)
        same = self._values[:, : self._count][:, ranks == rank].T  # (members of the same rank, m)
        # Members of the same rank that `values` dominates would move down if it were added.
        same = same[~((row >= same).all(axis=1) & (row > same).any(axis=1))]
        unequal = same[(same != row).any(axis=1)]  # (others, m)
        distances = crowding_distances(np.vstack([unequal, row]))  # (others + 1,)
        return int((ranks < rank).sum() + (distances[:-1] > distances[-1]).sum())

    def _rank(self, values: tuple[float, ...]) -> int:
        """0 if no member dominates `values` (m,), else 1 more than the largest rank of the members that do."""
        at_least, above = np.ones(self._count, dtype=bool), np.zeros(self._count, dtype=bool)  # (members,) each
        for members, value in zip(self._values, values, strict=True):
            at_least &= members[: self._count] >= value
            above |= members[: self._count] > value
        return int(self._ranks[: self._count][at_least & above].max(initial=-1)) + 1

    def _push_down(self, moved: Matrix, rank: int) -> None:
        """Move members of `rank` down if `moved` (k, m), which are new at `rank`, dominate them; then those below them.
        """
        while len(moved):
            members = np.flatnonzero(self._ranks[: self._count] == rank)  # (f,)
            front = self._values[:, members].T  # (f, m)
            at_least = (moved[:, None] >= front[None]).all(axis=2)  # (k, f)
            dominated = (at_least & (moved[:, None] > front[None]).any(axis=2)).any(axis=0)  # (f,)
            self._ranks[members[dominated]] = rank + 1
            moved, rank = front[dominated], rank + 1  # (members moved, m)

"""The candidates that a model-based algorithm considers: the whole space if it is small, else a quasi-random pool."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from searchsvc.algorithms.base import Problem, generator
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.variation import distinct, neighbours
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Matrix

LISTED = 100_000
"""Largest number of candidates of a space that is listed as a whole."""
_MOST_ENTRIES = 2**24
"""Entries of the features of a pool: 64 MiB. A pool has fewer candidates if they have many features."""
_DRAW = 1024
"""Points of the sequence per draw."""
_DRAWS = 64
"""Maximum number of draws, even if the pool is not full."""
_BITS = 30
_TAG = 0x500


class CandidatePool:
    """Candidates of a problem within its hard constraints."""

    def __init__(self, problem: Problem, encoding: Encoding, size: int, start: int) -> None:
        """`size`: quasi-random candidates if the space cannot be listed; `start`: candidates to choose far apart."""
        self._problem = problem
        self._encoding = encoding
        most = _MOST_ENTRIES // encoding.width
        self._size = min(size, most)
        self._listed = min(LISTED, most)
        self._start = start

    @cached_property
    def rows(self) -> Matrix:
        """(p, d) candidates in the order of a search without results; empty if no candidate is feasible.

        The first `start` candidates are far apart. The others follow as drawn.
        """
        rows = self._all_rows()
        if len(rows) < 2:
            return rows
        first = farthest(self._encoding.features(rows[:_DRAW]), min(self._start, len(rows)))  # (start,)
        others = np.ones(len(rows), dtype=bool)  # (p,)
        others[first] = False
        return np.vstack([rows[first], rows[others]])

    @cached_property
    def keys(self) -> list[bytes]:
        """(p,) keys of `rows`, equal for equal candidates."""
        return [row.tobytes() for row in self.rows]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(p, f) features of `rows`."""
        size = self._encoding.rows_at_once
        parts = [self.rows[start : start + size] for start in range(0, max(len(self.rows), 1), size)]
        return np.vstack([self._encoding.features(part).astype(np.float32) for part in parts])

    @property
    def is_whole(self) -> bool:
        """True if `rows` holds every feasible candidate of the space."""
        return self._problem.space.size() <= self._listed

    def around(self, matrix: Matrix, count: int, random: np.random.Generator) -> Matrix:
        """(<= n * count, d) feasible neighbours of (n, d)."""
        return self._feasible(neighbours(self._problem.space, matrix, random, count))

    def _all_rows(self) -> Matrix:
        """(p, d) every feasible candidate in random order, or the start of a scrambled Sobol sequence."""
        listed = enumerate_space(self._problem.space, self._listed)  # (size, d)
        if listed is not None:
            return self._feasible(listed[generator(self._problem.seed, 0, _TAG).permutation(len(listed))])
        from scipy.stats import qmc  # late: scipy takes half a second to import

        space, random = self._problem.space, generator(self._problem.seed, 1, _TAG)
        sequence = qmc.Sobol(len(space), scramble=True, bits=_BITS, rng=random)
        rows = np.empty((0, len(space)))
        for _ in range(_DRAWS):
            rows = np.vstack([rows, self._feasible(space.from_unit(sequence.random(_DRAW)))])  # (<= p + 1024, d)
            rows = rows[distinct(rows)][: self._size]
            if len(rows) == self._size:
                break
        return rows

    def _feasible(self, matrix: Matrix) -> Matrix:
        return matrix[self._problem.cost_model.within(matrix, self._problem.hard)]

def farthest(features: Matrix, count: int) -> NDArray[np.intp]:
    """Indices (count,) of points (n, f), each as far as possible from the points before it (Gonzalez 1985).

    The first index is 0. Costs and counts are features, so the smallest and the largest networks are chosen early:
    extremes are the most informative about the effect of each parameter.
    """
    chosen = [0]
    nearest = np.square(features - features[0]).sum(axis=1)  # (n,) squared distance to the nearest chosen point
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(features - features[chosen[-1]]).sum(axis=1))
    return np.array(chosen, dtype=np.intp)

"""Where a model-based algorithm looks for candidates: all of a small space, else a quasi-random pool and neighbours."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from searchsvc.algorithms.base import Problem, generator
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.variation import neighbours
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Matrix

LISTED = 100_000
"""Spaces of up to so many candidates are looked at whole."""
_DRAW = 1024
_DRAWS = 64
_BITS = 30
_TAG = 0x500


class Pool:
    """Candidates of one problem that keep its hard constraints."""

    def __init__(self, problem: Problem, encoding: Encoding, size: int, spread: int) -> None:
        """`size`: quasi-random candidates, where the space cannot be listed; `spread`: how many of them start it."""
        self._problem = problem
        self._encoding = encoding
        self._size = size
        self._spread = spread

    @cached_property
    def rows(self) -> Matrix:
        """(p, d) in an order fit to start with: the first ones far from each other, the rest as they were drawn.

        Empty where nothing feasible was found.
        """
        drawn = self._drawn
        if len(drawn) < 2:
            return drawn
        first = _farthest(self._encoding, drawn[: max(self._size, _DRAW)], min(self._spread, len(drawn)))
        rest = np.ones(len(drawn), dtype=bool)
        rest[first] = False
        return np.vstack([drawn[first], drawn[rest]])

    @cached_property
    def keys(self) -> list[bytes]:
        """Of `rows`: equal for equal candidates."""
        return [row.tobytes() for row in self.rows]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """(p, f) of `rows`."""
        return self._encoding.features(self.rows).astype(np.float32)

    @property
    def is_whole(self) -> bool:
        """Whether `rows` is every feasible candidate there is."""
        return self._problem.space.size() <= LISTED

    def around(self, matrix: Matrix, count: int, random: np.random.Generator) -> Matrix:
        """(<= n * count, d) feasible neighbours of (n, d)."""
        return self._feasible(neighbours(self._problem.space, matrix, random, count))

    @cached_property
    def _drawn(self) -> Matrix:
        random = generator(self._problem.seed, 0, _TAG)
        listed = enumerate_space(self._problem.space, LISTED)
        if listed is not None:
            return self._feasible(listed[random.permutation(len(listed))])
        from scipy.stats import qmc  # takes half a second to import

        sequence = qmc.Sobol(len(self._problem.space), scramble=True, bits=_BITS, rng=random)
        parts = []
        found = 0
        for _ in range(_DRAWS):
            parts.append(self._feasible(self._problem.space.from_unit(sequence.random(_DRAW))))
            found += len(parts[-1])
            if found >= self._size:
                break
        return np.vstack(parts)[: self._size]

    def _feasible(self, matrix: Matrix) -> Matrix:
        problem = self._problem
        if problem.cost_model is None or not problem.hard or not len(matrix):
            return matrix
        costs = problem.cost_model(matrix)
        holds = np.ones(len(matrix), dtype=bool)
        for constraint in problem.hard:
            values = costs[constraint.metric]
            holds &= (constraint.excess(values) == 0) & ~np.isnan(values)
        return matrix[holds]


def _farthest(encoding: Encoding, matrix: Matrix, count: int) -> NDArray[np.intp]:
    """`count` rows of (n, d), each as far as can be from those before it (Gonzalez 1985), from the first row on."""
    features = encoding.features(matrix)
    chosen = [0]
    nearest = np.square(features - features[0]).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(features - features[chosen[-1]]).sum(axis=1))
    return np.array(chosen, dtype=np.intp)

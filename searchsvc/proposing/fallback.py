"""Where an algorithm repeats itself or breaks hard constraints: a uniform draw of a feasible candidate not seen yet."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from functools import cached_property

import numpy as np

from searchsvc.algorithms.base import BLOCK, generator
from searchsvc.algorithms.hard_constraints import HardConstraints, Rejections
from searchsvc.domain.candidates import Candidate
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Space

ENUMERABLE = 2**15
"""Spaces of up to so many candidates are listed whole: there it is known when nothing is left."""
_TAG = 0x0DD


class FallbackSampler:
    """Feasible candidates of a space that have not been proposed."""

    def __init__(
        self, space: Space, constraints: HardConstraints, seed: int, key: Callable[[Candidate], Hashable]
    ) -> None:
        """`key`: equal for candidates that count as the same."""
        self._space = space
        self._key = key
        self._constraints = constraints
        self._seed = seed
        self.size = space.size()

    def none_left(self, seen: Container[Hashable]) -> bool:
        """Whether it is certain that every feasible candidate has been seen: only known where all can be listed."""
        return self._all is not None and all(key in seen for key in self._all)

    def draw(self, ask: int, seen: Container[Hashable], rejections: Rejections, tries: int) -> Candidate | None:
        """The candidate that ask number `ask` falls back to; None where none was found.

        Where the space can be listed, None is certain; elsewhere it means that `tries` draws met only what was seen.
        Raises NothingFeasible where they met nothing feasible at all.
        """
        random = generator(self._seed, ask, _TAG)
        if self._all is not None:
            if not self._all:
                raise rejections.nothing_feasible()
            left = [one for key, one in self._all.items() if key not in seen]
            return left[int(random.integers(len(left)))] if left else None
        met = False
        for _ in range(0, tries, BLOCK):
            matrix = self._space.sample(BLOCK, random)
            judgement = self._constraints.judge(matrix)
            for candidate in self._space.from_matrix(matrix[judgement.feasible]):
                met = True
                if self._key(candidate) not in seen:
                    return candidate
            rejections.reject(self._constraints.hard, judgement, slice(None))
        if not met:
            raise rejections.nothing_feasible()
        return None

    @cached_property
    def _all(self) -> dict[Hashable, Candidate] | None:
        """Every feasible candidate by its key, where the space can be listed."""
        matrix = enumerate_space(self._space, ENUMERABLE)
        if matrix is None:
            return None
        feasible = self._constraints.judge(matrix).feasible
        return {self._key(one): one for one in self._space.from_matrix(matrix[np.flatnonzero(feasible)])}

"""Uniform draws of new feasible candidates, for when an algorithm repeats itself or breaks hard constraints."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from functools import cached_property

import numpy as np

from searchsvc.algorithms.base import BLOCK, generator
from searchsvc.algorithms.hard_constraints import HardConstraints
from searchsvc.domain.candidates import Candidate
from searchsvc.proposing.rejections import Rejections
from searchsvc.spaces.enumeration import enumerate_space
from searchsvc.spaces.space import Space

ENUMERABLE = 2**15
"""Largest number of candidates of a space that is listed as a whole, so that its exhaustion is detected."""
_TAG = 0x0DD


class FallbackSampler:
    """Draws feasible candidates of a space that have not been proposed."""

    def __init__(
        self, space: Space, constraints: HardConstraints, seed: int, key: Callable[[Candidate], Hashable]
    ) -> None:
        """`key`: equal for candidates that count as the same."""
        self._space = space
        self._key = key
        self._constraints = constraints
        self._seed = seed
        self.space_size = space.size()
        """Candidates of the space, feasible or not."""

    def is_exhausted(self, seen: Container[Hashable]) -> bool:
        """True if every feasible candidate has been seen. False if the space cannot be listed."""
        return self._feasible is not None and all(key in seen for key in self._feasible)

    def draw(self, ask: int, seen: Container[Hashable], rejections: Rejections, tries: int) -> Candidate | None:
        """Draw a candidate in place of ask number `ask`; None if there is no new candidate.

        If the space cannot be listed, None means that all feasible candidates among `tries` draws had been seen.
        Raises NothingFeasible if no candidate is feasible at all.
        """
        random = generator(self._seed, ask, _TAG)
        if self._feasible is None:
            return self._sample(random, seen, rejections, tries)
        if not self._feasible:
            raise rejections.error()
        candidates = [candidate for key, candidate in self._feasible.items() if key not in seen]
        return candidates[int(random.integers(len(candidates)))] if candidates else None

    def _sample(
        self, random: np.random.Generator, seen: Container[Hashable], rejections: Rejections, tries: int
    ) -> Candidate | None:
        """Draw from a space that is too large to be listed."""
        any_feasible = False
        for _ in range(0, tries, BLOCK):
            matrix = self._space.sample(BLOCK, random)  # (BLOCK, d)
            judgement = self._constraints.judge(matrix)
            for candidate in self._space.from_matrix(matrix[judgement.feasible]):
                any_feasible = True
                if self._key(candidate) not in seen:
                    return candidate
            rejections.add(judgement, slice(None))
        if not any_feasible:
            raise rejections.error()
        return None

    @cached_property
    def _feasible(self) -> dict[Hashable, Candidate] | None:
        """Every feasible candidate by its key; None if the space is too large to be listed."""
        matrix = enumerate_space(self._space, ENUMERABLE)
        if matrix is None:
            return None
        feasible = matrix[np.flatnonzero(self._constraints.judge(matrix).feasible)]
        return {self._key(candidate): candidate for candidate in self._space.from_matrix(feasible)}

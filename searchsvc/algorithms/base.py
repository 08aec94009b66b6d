"""Ask and tell: the contract of an algorithm, and the rule by which its random numbers are drawn.

An algorithm is a function of (problem, seed, results told, candidates pending, number of asks). It keeps no generator:
whatever is random in ask number `i` (0, 1, ...) comes from `generator(seed, i)`. So a search that was killed and is
rebuilt from stored trials proposes what it would have proposed without the kill.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.states import TrialKind
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.space import Matrix, Space

BLOCK = 256
"""Rows that a Stream draws at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched and what is wanted: all that an algorithm knows besides its options."""

    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    """Outcome constraints: on metrics that are known only after training."""
    cost_model: CostModel
    seed: int
    hard: tuple[Constraint, ...] = ()
    """Constraints on what the cost model knows. Whatever breaks one is rejected before it becomes a trial."""


class Algorithm(Protocol):
    """Proposes candidates.

    ::

        ask(1) -> [c]                                   c is pending; one more ask is counted
        tell([Observation(c, {"accuracy": 0.9})])       the earliest pending ask of c is done, its result is known
        tell([Observation(c, None, failure=...)])       the latest pending ask of c is let go and leaves no trace
        tell([Observation(never_asked, {...})])         its result is known (a warm start, an answered repeat)

    Observations come in any order and in batches of any size. `ask(n)` equals n times `ask(1)`. A failure of any kind
    only releases: a failed trial that is tried again later then leads to the same state as one that never failed.
    Metrics that miss an objective, or hold NaN or infinity, count as a failure.
    """

    replays_by_asking: bool
    """Whether the state holds more than results, pending candidates and the number of asks (the generation that a
    candidate was born into, say): then a replay asks again where `resume` would do otherwise."""

    @property
    def seed(self) -> int:
        """The seed of all its random numbers."""

    @property
    def asks(self) -> int:
        """Candidates asked for so far."""

    def ask(self, count: int) -> list[Candidate]:
        """The next candidates. Fewer than `count`: nothing more to propose until something is told."""

    def tell(self, observations: Sequence[Observation]) -> None:
        """Take note of results."""

    def resume(self, candidate: Candidate, asks: int) -> None:
        """Take `candidate` for what ask number `asks` (counted from 1) gave: it is pending, without being sampled.

        Where that ask was let go for a failure of its trial, it is pending again.
        """


@runtime_checkable
class Staged(Protocol):
    """An algorithm that goes through stages within a job's budget, and says how it gets on."""

    def plan(self, existing: int, budget: int) -> None:
        """Before an ask: the job has so many trials so far, of so many that it may have.

        Never called where there is no job; then there is no end to plan for.
        """

    def is_in_full(self, asks: int) -> bool:
        """Whether the trial of ask number `asks` (counted from 1) is to be trained to the whole fidelity.

        Then no stopping rule ends it, and its candidate may be one that an earlier trial, stopped early, had.
        """

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        """(number, what to keep) of the rounds that ended since the last call. A replay may give some again."""


@runtime_checkable
class Shared(Protocol):
    """An algorithm some of whose asks are no candidates, but supernets. It is told results with their histories.

    The candidate of a supernet has no values. One that was cancelled is told without metrics and without a failure:
    it leaves no trace, and the next ask may be for another.
    """

    def kind(self, asks: int) -> TrialKind:
        """What the trial of ask number `asks` (counted from 1) is for."""


@runtime_checkable
class Listed(Protocol):
    """An algorithm that has a list: where a candidate repeats, the next is taken and nothing is drawn in its stead."""

    def left(self) -> int:
        """Candidates that were not asked for yet."""


class Stream:
    """An algorithm whose asks do not depend on what it was told: row i of an endless matrix is what ask i gives."""

    replays_by_asking = False

    def __init__(self, problem: Problem, draw: Callable[[int], Matrix]) -> None:
        """`draw(block)` gives rows block * BLOCK ... (block + 1) * BLOCK of the unit cube: (BLOCK, d)."""
        self._space = problem.space
        self._seed = problem.seed
        self._draw = draw
        self._asks = 0
        self._blocks: OrderedDict[int, Matrix] = OrderedDict()

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def asks(self) -> int:
        return self._asks

    def block(self, index: int) -> Matrix:
        """(BLOCK, d) matrix: what asks index * BLOCK ... give."""
        if index not in self._blocks:
            self._blocks[index] = self._space.from_unit(self._draw(index))
            if len(self._blocks) > 4:
                self._blocks.popitem(last=False)
        return self._blocks[index]

    def ask(self, count: int) -> list[Candidate]:
        first, self._asks = self._asks, self._asks + count
        rows = [self.block(row // BLOCK)[row % BLOCK] for row in range(first, self._asks)]
        return self._space.from_matrix(np.array(rows).reshape(count, len(self._space)))

    def tell(self, observations: Sequence[Observation]) -> None:
        """Nothing is learned."""

    def skip_to(self, asks: int) -> None:
        """Count asks whose candidates were taken from `block`."""
        self._asks = max(self._asks, asks)

    def resume(self, candidate: Candidate, asks: int) -> None:  # noqa: ARG002 - the contract names it
        self.skip_to(asks)


def generator(seed: int, ask: int, *tags: int) -> np.random.Generator:
    """The random numbers of one ask. `tags` tell apart several uses within it."""
    return np.random.default_rng([seed, ask, *tags])

"""Ask and tell: the contract of an algorithm, and the rule by which its random numbers are drawn.

An algorithm is a function of (problem, seed, results told, candidates pending, number of asks). It keeps no generator:
all random numbers of ask number `i` (0, 1, ...) come from `generator(seed, i)`. A search that was killed and is rebuilt
from stored trials therefore proposes the candidates that it would have proposed without the kill.

::

    Algorithm             ask, tell, resume; counts asks; has stages that do nothing unless overridden
    ├── Evolution
    ├── FbnetV3           plans with the budget of a job, trains some trials in full, reports rounds
    ├── OptunaAlgorithm   tpe, gp, nsga2, cmaes
    ├── Autohas           asks for a supernet first, then for its finalists
    ├── FixedList         ends with its list
    └── Stream            random, sobol: asks do not depend on results

Pending candidates are kept in `searchsvc.algorithms.pending`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.metrics import Constraint, Objective
from searchsvc.domain.states import TrialKind
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.space import Matrix, Space

BLOCK = 256
"""Rows that a Stream draws at once."""
_CACHED_BLOCKS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The space to search, the objectives and the constraints of a search."""

    space: Space
    objectives: tuple[Objective, ...]
    seed: int
    hard: tuple[Constraint, ...] = ()
    """Constraints on costs. A candidate that breaks any of them is rejected before it becomes a trial."""
    constraints: tuple[Constraint, ...] = ()
    """Outcome constraints: on metrics that are known only after training."""
    cost_model: CostModel = NO_COSTS


class Algorithm(ABC):
    """Proposes candidates.

    ::

        ask(1) -> [c]                                   c is pending; the number of asks grows by 1
        tell([Observation(c, {"accuracy": 0.9})])       stores a result, and ends the earliest pending ask of c
        tell([Observation(c, None, failure=...)])       releases the latest pending ask of c without a trace
        tell([Observation(never_asked, {...})])         stores a result (a warm start, an answered repeat)

    Observations come in any order and in batches of any size. `ask(n)` equals n times `ask(1)`. A failure of any kind
    only releases: a failed trial that is tried again later then leads to the same state as a trial that never failed.
    Metrics that lack an objective, or hold NaN or infinity, count as a failure.

    A subclass implements `_next` and `tell`. All other methods have defaults that suit an algorithm without stages.
    """

    replays_by_asking = False
    """True if a replay asks again instead of calling `resume`.

    True if the state holds more than results, pending candidates and the number of asks (for example the generation of
    a candidate).
    """
    learns_from_histories = False
    """True if observations need the measurements of each step, also during a replay."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._asks = 0
        self._trials_left: int | None = None
        """Trials that the job may still have; None outside a job."""

    @property
    def seed(self) -> int:
        """The seed of all random numbers of the search."""
        return self._problem.seed

    @property
    def asks(self) -> int:
        """Candidates asked for so far."""
        return self._asks

    def ask(self, count: int) -> list[Candidate]:
        """Return the next candidates; fewer than `count` if the algorithm has no more until it receives results."""
        candidates: list[Candidate] = []
        while len(candidates) < count and (candidate := self._next(self._asks + 1)) is not None:
            self._asks += 1
            candidates.append(candidate)
        return candidates

    @abstractmethod
    def _next(self, asks: int) -> Candidate | None:
        """Return the candidate of ask number `asks` (counted from 1) and make it pending.

        None if there is no candidate yet.
        """

    @abstractmethod
    def tell(self, observations: Sequence[Observation]) -> None:
        """Learn from results."""

    def resume(self, candidate: Candidate, asks: int) -> None:  # noqa: ARG002 - overridden where it matters
        """Make `candidate` pending as the candidate of ask number `asks` (counted from 1), without sampling.

        If that ask was released because its trial failed, it is pending again.
        """
        self._asks = max(self._asks, asks)

    # ---- stages: of use to some algorithms only ----------------------------------------------------------------------

    def plan(self, existing: int, budget: int) -> None:
        """Note before an ask that the job has `existing` trials of at most `budget`.

        Never called outside a job: the search then has no end to plan for.
        """
        self._trials_left = budget - existing

    def is_in_full(self, asks: int) -> bool:  # noqa: ARG002 - overridden where it matters
        """True if the trial of ask number `asks` (counted from 1) trains to the whole fidelity.

        No stopping rule then ends it, and its candidate may repeat the candidate of a trial that was stopped early.
        """
        return False

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        """(number, report) of the rounds that ended since the last call. A replay may report some of them again."""
        return []

    def kind(self, asks: int) -> TrialKind:  # noqa: ARG002 - overridden where it matters
        """True if the trial of ask number `asks` (counted from 1) trains a candidate or a supernet.

        The candidate of a supernet has no values. The observation of a cancelled supernet has neither metrics nor a
        failure: it leaves no trace, and the next ask may return another supernet.
        """
        return TrialKind.CANDIDATE

    def remaining(self) -> int | None:
        """Candidates of a list that have not been asked for. None if the algorithm does not follow a list.

        If a candidate of a list repeats, it is skipped, and no uniform draw replaces it.
        """
        return None

    def as_stream(self) -> Stream | None:
        """The algorithm itself if its asks do not depend on results. Its candidates are then checked in blocks."""
        return None


class Stream(Algorithm):
    """An endless matrix of candidates: row i is the candidate of ask i, whatever the results."""

    def __init__(self, problem: Problem, draw: Callable[[int], Matrix]) -> None:
        """`draw(block)` returns rows block * BLOCK ... (block + 1) * BLOCK of the unit cube: (BLOCK, d)."""
        super().__init__(problem)
        self._draw = draw
        self._blocks: OrderedDict[int, Matrix] = OrderedDict()

    def block(self, index: int) -> Matrix:
        """(BLOCK, d) candidates of the asks from index * BLOCK on."""
        if index not in self._blocks:
            self._blocks[index] = self._problem.space.from_unit(self._draw(index))
            if len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[index]

    def tell(self, observations: Sequence[Observation]) -> None:
        """Ignore results: the algorithm does not learn."""

    def skip_to(self, asks: int) -> None:
        """Count asks whose candidates were taken from `block`."""
        self._asks = max(self._asks, asks)

    def as_stream(self) -> Stream:
        return self

    def _next(self, asks: int) -> Candidate:
        block, offset = divmod(asks - 1, BLOCK)
        return self._problem.space.from_matrix(self.block(block)[offset : offset + 1])[0]


def generator(seed: int, ask: int, *tags: int) -> np.random.Generator:
    """The random numbers of an ask. `tags` separate several uses within an ask."""
    return np.random.default_rng([seed, ask, *tags])

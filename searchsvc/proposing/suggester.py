"""Two ways to ask an algorithm for a feasible candidate: one at a time, or a block at once where asks do not depend on
results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from searchsvc.algorithms.base import BLOCK, Algorithm, Listed, Shared, Staged, Stream
from searchsvc.algorithms.hard_constraints import HardConstraints, Judgement, Rejections
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.states import TrialKind
from searchsvc.errors import FailureKind
from searchsvc.spaces.space import Matrix, Space

PATIENCE = 64
"""Candidates in a row that an algorithm may waste on hard constraints, each costing a whole ask, before a uniform draw
takes its place. One that has a list wastes nothing: the next of the list costs nothing."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A feasible candidate, or a supernet, pending in the algorithm."""

    candidate: Candidate
    costs: Mapping[str, float]
    in_full: bool = False
    """Whether its trial is to be trained to the whole fidelity, whatever a stopping rule says."""
    kind: TrialKind = TrialKind.CANDIDATE


class Suggester(Protocol):
    """Asks until a candidate is feasible."""

    patience: int
    """Rejected candidates in a row after which it gives up."""

    def next(self, rejections: Rejections) -> Suggestion | None:
        """The next feasible candidate; rejected ones are counted in `rejections`.

        None with `rejections.tries` below `patience`: the algorithm waits for results.
        """


def suggester_for(algorithm: Algorithm, space: Space, constraints: HardConstraints, max_tries: int) -> Suggester:
    """The faster way that the algorithm allows."""
    if isinstance(algorithm, Stream):
        return BlockSuggester(algorithm, space, constraints, max_tries)
    patience = max_tries if isinstance(algorithm, Listed) else min(PATIENCE, max_tries)
    return SingleSuggester(algorithm, space, constraints, patience)


class SingleSuggester:
    """One candidate per ask; a rejected one is let go. A supernet is none and passes."""

    def __init__(self, algorithm: Algorithm, space: Space, constraints: HardConstraints, patience: int) -> None:
        self._algorithm = algorithm
        self._space = space
        self._constraints = constraints
        self.patience = patience

    def next(self, rejections: Rejections) -> Suggestion | None:
        while rejections.tries < self.patience:
            candidates = self._algorithm.ask(1)
            if not candidates:
                return None
            if self._kind() is TrialKind.SUPERNET:
                return Suggestion(candidates[0], {}, kind=TrialKind.SUPERNET)
            judgement = self._constraints.judge(self._space.to_matrix(candidates))
            if judgement.feasible[0]:
                return Suggestion(candidates[0], judgement.costs_of(0), self._is_in_full())
            rejections.reject(self._constraints.hard, judgement, slice(None))
            self._algorithm.tell([Observation(candidates[0], None, FailureKind.INFEASIBLE)])
        return None

    def _kind(self) -> TrialKind:
        algorithm = self._algorithm
        return algorithm.kind(algorithm.asks) if isinstance(algorithm, Shared) else TrialKind.CANDIDATE

    def _is_in_full(self) -> bool:
        return isinstance(self._algorithm, Staged) and self._algorithm.is_in_full(self._algorithm.asks)


class BlockSuggester:
    """Judges whole blocks of a stream: only feasible rows become candidates."""

    def __init__(self, stream: Stream, space: Space, constraints: HardConstraints, patience: int) -> None:
        self._stream = stream
        self._space = space
        self._constraints = constraints
        self._judged: tuple[int, Matrix, Judgement] | None = None
        self.patience = patience

    def next(self, rejections: Rejections) -> Suggestion | None:
        while rejections.tries < self.patience:
            block, offset = divmod(self._stream.asks, BLOCK)
            matrix, judgement = self._judge(block)
            rows = judgement.feasible[offset : offset + self.patience - rejections.tries + 1]
            skipped = int(rows.argmax()) if rows.any() else min(len(rows), self.patience - rejections.tries)
            row = offset + skipped
            rejections.reject(self._constraints.hard, judgement, slice(offset, row))
            if skipped < len(rows) and rows[skipped]:
                self._stream.skip_to(block * BLOCK + row + 1)
                return Suggestion(self._space.from_matrix(matrix[row : row + 1])[0], judgement.costs_of(row))
            self._stream.skip_to(block * BLOCK + row)
        return None

    def _judge(self, block: int) -> tuple[Matrix, Judgement]:
        if self._judged is None or self._judged[0] != block:
            matrix = self._stream.block(block)
            self._judged = block, matrix, self._constraints.judge(matrix)
        return self._judged[1], self._judged[2]

"""Feasible candidates from an algorithm: one at a time, or from whole blocks if its asks do not depend on results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from searchsvc.algorithms.base import BLOCK, Algorithm, Stream
from searchsvc.algorithms.hard_constraints import HardConstraints, Judgement
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.states import TrialKind
from searchsvc.errors import FailureKind
from searchsvc.proposing.rejections import Rejections
from searchsvc.spaces.space import Matrix, Space

PATIENCE = 64
"""Candidates in a row that an algorithm may waste on hard constraints before a uniform draw replaces them: each costs a
whole ask. An algorithm with a list has no such limit, as the next candidate of a list costs nothing.
"""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A feasible candidate, or a supernet, pending in the algorithm."""

    candidate: Candidate
    costs: Mapping[str, float]
    in_full: bool = False
    """True if the trial trains to the whole fidelity, whatever a stopping rule decides."""
    kind: TrialKind = TrialKind.CANDIDATE


class Suggester(Protocol):
    """Asks an algorithm until a candidate is feasible."""

    patience: int
    """Rejected candidates in a row after which the suggester gives up."""

    def suggest(self, rejections: Rejections) -> Suggestion | None:
        """Return the next feasible candidate, and count rejected candidates in `rejections`.

        None while `rejections.in_a_row` is below `patience`: the algorithm waits for results.
        """


def suggester_for(algorithm: Algorithm, space: Space, constraints: HardConstraints, max_tries: int) -> Suggester:
    """The fastest suggester that the algorithm allows."""
    if (stream := algorithm.as_stream()) is not None:
        return BlockSuggester(stream, space, constraints, max_tries)
    patience = min(PATIENCE, max_tries) if algorithm.remaining() is None else max_tries
    return SingleSuggester(algorithm, space, constraints, patience)


class SingleSuggester:
    """Asks for single candidates and releases those it rejects. A supernet has no costs and is not checked."""

    def __init__(self, algorithm: Algorithm, space: Space, constraints: HardConstraints, patience: int) -> None:
        self._algorithm = algorithm
        self._space = space
        self._constraints = constraints
        self.patience = patience

    def suggest(self, rejections: Rejections) -> Suggestion | None:
        while rejections.in_a_row < self.patience:
            candidates = self._algorithm.ask(1)
            if not candidates:
                return None
            asks = self._algorithm.asks
            if self._algorithm.kind(asks) is TrialKind.SUPERNET:
                return Suggestion(candidates[0], {}, kind=TrialKind.SUPERNET)
            judgement = self._constraints.judge(self._space.to_matrix(candidates))
            if judgement.feasible[0]:
                return Suggestion(candidates[0], judgement.costs_of(0), self._algorithm.is_in_full(asks))
            rejections.add(judgement, slice(None))
            self._algorithm.tell([Observation(candidates[0], None, FailureKind.INFEASIBLE)])
        return None


class BlockSuggester:
    """Checks whole blocks of a stream: only feasible rows become candidates."""

    def __init__(self, stream: Stream, space: Space, constraints: HardConstraints, patience: int) -> None:
        self._stream = stream
        self._space = space
        self._constraints = constraints
        self._judged: tuple[int, Matrix, Judgement] | None = None
        """Index, rows (BLOCK, d) and judgement of the current block."""
        self.patience = patience

    def suggest(self, rejections: Rejections) -> Suggestion | None:
        while rejections.in_a_row < self.patience:
            # The next ask takes row `offset` of its block.
            block, offset = divmod(self._stream.asks, BLOCK)
            matrix, judgement = self._judge(block)
            # After `allowed` more rejected rows, the next row may still be feasible. The slice ends with the block.
            allowed = self.patience - rejections.in_a_row
            feasible = judgement.feasible[offset : offset + allowed + 1]
            # Infeasible rows before the first feasible row; if no row is feasible, all that may be rejected.
            skipped = int(feasible.argmax()) if feasible.any() else min(len(feasible), allowed)
            row = offset + skipped
            rejections.add(judgement, slice(offset, row))
            if skipped < len(feasible) and feasible[skipped]:
                self._stream.skip_to(block * BLOCK + row + 1)  # the row itself counts as an ask
                return Suggestion(self._space.from_matrix(matrix[row : row + 1])[0], judgement.costs_of(row))
            self._stream.skip_to(block * BLOCK + row)  # continue in the next block, or give up
        return None

    def _judge(self, block: int) -> tuple[Matrix, Judgement]:
        """Rows (BLOCK, d) of a block and their judgement."""
        if self._judged is None or self._judged[0] != block:
            matrix = self._stream.block(block)
            self._judged = block, matrix, self._constraints.judge(matrix)
        return self._judged[1], self._judged[2]

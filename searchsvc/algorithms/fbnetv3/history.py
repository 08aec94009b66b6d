"""The state of an FBNetV3 search: its results, and the candidates that are pending or failed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from searchsvc.algorithms.pending import Pending
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.errors import FailureKind
from searchsvc.spaces.space import Matrix, Space


@dataclass(frozen=True, slots=True)
class Result:
    """A trial that measured all objectives."""

    row: Matrix
    """(d,) row of the candidate."""
    key: bytes
    """Bytes of `row`: equal for equal rows."""
    observation: Observation
    asks: int
    """Number of the candidate's ask, counted from 1; 0 if it was never asked for."""


class History:
    """Results in the order in which they were told, and the candidates without a result."""

    def __init__(self, space: Space) -> None:
        self.results: list[Result] = []
        self._space = space
        self._result_keys: set[Hashable] = set()
        self._pending: Pending[Matrix] = Pending()

    def row(self, candidate: Candidate) -> Matrix:
        """(d,) row of a candidate."""
        return np.asarray(self._space.to_matrix([candidate])[0])

    def start(self, asks: int, row: Matrix) -> None:
        """Make `row` (d,) of ask number `asks` pending."""
        self._pending.add(asks, row.tobytes(), row)

    def restart(self, asks: int, row: Matrix) -> None:
        """Make `row` (d,) pending. If its trial failed, the trial is being tried again."""
        self._pending.forget_failures(row.tobytes())
        self.start(asks, row)

    def finish(self, row: Matrix, observation: Observation) -> None:
        """Store a result of `row` (d,), which need not have been asked for."""
        key = row.tobytes()
        finished = self._pending.finish(key)
        self.results.append(Result(row, key, observation, 0 if finished is None else finished[0]))
        self._result_keys.add(key)

    def release(self, row: Matrix, failure: FailureKind | None) -> None:
        """Release `row` (d,). A candidate whose trial failed is not proposed again, but its trial may be tried again.
        """
        self._pending.release(row.tobytes(), failure)

    def taken(self) -> set[Hashable]:
        """Keys of candidates that have a result, have failed or are pending."""
        return self._result_keys | self._unfinished()

    def taken_in_full(self) -> set[Hashable]:
        """Keys of candidates that were trained to the whole fidelity, have failed or are pending."""
        return {result.key for result in self.results if not result.observation.stopped} | self._unfinished()

    def awaited(self, fitted: int) -> Matrix:
        """(p, d) pending candidates, and results that are not among the first `fitted` results, in the order of asks.
        """
        rows = {result.asks: result.row for result in self.results[fitted:] if result.asks} | self._pending.by_ask()
        return np.array([rows[asks] for asks in sorted(rows)]).reshape(len(rows), len(self._space))

    def _unfinished(self) -> set[Hashable]:
        return self._pending.keys() | self._pending.failed_keys()

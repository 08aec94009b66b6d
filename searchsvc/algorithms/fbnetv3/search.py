"""FBNetV3 (Dai et al. 2021, arXiv 2006.02049): joint search of architecture and recipe with a learned predictor.

::

    trials:       0 ...... startup ....... batch ...................... budget - top ............. budget
    candidates:   quasi-random | by expected improvement of the predictor | stage 2: evolutionary search
    trained:      in full ................. | to the early-stop epoch ..... | in full

The predictor is fitted anew to all results whenever something was told; as they grow in number, after every so many, so
that an ask costs little on average. Nothing waits for a batch to be complete: what is pending is taken to measure what
is predicted. Between two fits candidates come from one shortlist. All of it is a function of the results in their
order, of what is pending and of the number of asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from searchsvc.algorithms.base import Problem, generator
from searchsvc.algorithms.fbnetv3.pool import CandidatePool
from searchsvc.algorithms.fbnetv3.posterior import Posterior, Shortlist
from searchsvc.algorithms.fbnetv3.surrogate import Result, Surrogate, fitted_results
from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import signed_values
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.spec import StoppingSpec
from searchsvc.errors import FailureKind, NothingFeasible
from searchsvc.predictors.constrained_search import search
from searchsvc.predictors.early_stop import LEAST_TRIALS
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.space import Matrix

_MOST_FINALS = 256
_TAG = 0xFB3


class FbnetV3Options(MethodOptions):
    """The paper's batch is 48 trials of hundreds; `startup` is small, as the predictor is of use from a few on."""

    startup: Annotated[
        int, Field(ge=2, le=100_000, description="Results before which candidates are quasi-random.")
    ] = 4
    batch: Annotated[
        int, Field(ge=LEAST_TRIALS, le=100_000, description="Trials of the first batch: they are trained in full.")
    ] = 12
    threshold: Annotated[
        float, Field(gt=0, le=1, description="Rank correlation with the last epoch that ends training early.")
    ] = 0.92
    top: Annotated[
        int, Field(ge=0, le=10_000, description="Last trials of a budget: the best by evolutionary search, in full.")
    ] = 5
    pool: Annotated[
        int, Field(ge=16, le=1_000_000, description="Quasi-random candidates within the hard constraints.")
    ] = 4096
    neural: Annotated[
        bool, Field(description="Whether the neural ensemble is averaged in, by the weight that results give it.")
    ] = True


def stopping(options: FbnetV3Options) -> StoppingSpec:
    """The early-stop epoch as a stopping rule."""
    return StoppingSpec(name="rank-correlation", trials=options.batch, threshold=options.threshold)


class FbnetV3:
    """Ask and tell; see the module."""

    replays_by_asking = False

    def __init__(self, problem: Problem, options: FbnetV3Options) -> None:
        self._problem = problem
        self._options = options
        self._surrogate = Surrogate(problem, batch=options.batch, threshold=options.threshold, neural=options.neural)
        self._results: list[Result] = []
        self._told: set[bytes] = set()
        """Their keys."""
        self._pending: dict[int, Matrix] = {}
        """Rows by ask number."""
        self._failed: set[bytes] = set()
        """Keys of candidates whose trials failed: not proposed again, but they may be tried again."""
        self._in_full: set[int] = set()
        self._left: int | None = None
        """Trials that the job may still have; None where there is no job."""
        self._rounds = 0
        self._asks = 0
        self._fit: tuple[int, Posterior, Shortlist] | None = None
        self._finals: tuple[int, list[Matrix]] | None = None

    @property
    def seed(self) -> int:
        return self._problem.seed

    @property
    def asks(self) -> int:
        return self._asks

    def ask(self, count: int) -> list[Candidate]:
        rows = []
        for _ in range(count):
            with one_thread():
                rows.append(self._propose(self._asks))
            self._asks += 1
            self._pending[self._asks] = rows[-1]
        return self._problem.space.from_matrix(np.array(rows).reshape(count, len(self._problem.space)))

    def tell(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            row = self._problem.space.to_matrix([observation.candidate])[0]
            if signed_values(observation.metrics, self._surrogate.measured_objectives) is None:
                self._release(row.tobytes(), observation.failure)
            else:
                asked = min(self._asks_of(row.tobytes()), default=0)
                self._pending.pop(asked, None)
                self._results.append(Result(row, row.tobytes(), observation, asked))
                self._told.add(row.tobytes())

    def resume(self, candidate: Candidate, asks: int) -> None:
        row = self._problem.space.to_matrix([candidate])[0]
        self._failed.discard(row.tobytes())
        self._pending[asks] = row
        self._asks = max(self._asks, asks)

    # ---- stages (see Staged) ---------------------------------------------------------------------------------------

    def plan(self, existing: int, budget: int) -> None:
        self._left = budget - existing

    def is_in_full(self, asks: int) -> bool:
        return asks <= self._options.batch or asks in self._in_full

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        rounds: list[tuple[int, Mapping[str, Any]]] = []
        while (end := self._end_of_round(self._rounds)) <= len(self._results):
            start = self._end_of_round(self._rounds - 1) if self._rounds else 0
            seen = self._results[:end]
            quality = self._surrogate.quality(seen[:start], seen[start:]) if start else {}
            epoch = self._surrogate.early_stop_epoch(seen)
            rounds.append((self._rounds, {"results": end, "early_stop_epoch": epoch, "quality": quality}))
            self._rounds += 1
        return rounds

    def _end_of_round(self, number: int) -> int:
        """Results at its end: a batch more than the round before, from the fifth on a quarter more."""
        end = self._options.batch
        for _ in range(number):
            end = max(end + self._options.batch, end * 5 // 4)
        return end

    # ---- one candidate ---------------------------------------------------------------------------------------------

    def _propose(self, ask: int) -> Matrix:
        """(d,)"""
        taken = self._taken()
        if self._left is not None and self._left <= self._options.top and len(self._results) >= self._options.startup:
            final = self._final()
            if final is not None:
                self._in_full.add(ask + 1)
                return final
        if len(self._results) >= self._options.startup:
            best = self._most_promising(taken, generator(self.seed, ask))
            if best is not None:
                return best
        return self._quasi_random(taken, ask)

    def _taken(self) -> set[bytes]:
        return self._told | self._failed | {row.tobytes() for row in self._pending.values()}

    def _quasi_random(self, taken: set[bytes], ask: int) -> Matrix:
        """The first of the pool that is left; a uniform draw where none is."""
        rows = self._pool.rows
        left = next((row for row, key in zip(rows, self._pool.keys, strict=True) if key not in taken), None)
        if left is None:
            return np.asarray(self._problem.space.sample(1, generator(self.seed, ask))[0])
        return np.asarray(left)

    def _most_promising(self, taken: set[bytes], random: np.random.Generator) -> Matrix | None:
        """The candidate of the shortlist whose measurement promises most, given what is awaited."""
        seen, posterior, shortlist = self._fitted()
        free = np.array([key not in taken for key in shortlist.keys], dtype=bool)
        if not free.any():
            return None
        since = {one.asks: one.row for one in self._results[seen:] if one.asks}
        awaited = sorted({**since, **self._pending}.items())
        rows = np.array([row for _, row in awaited]).reshape(len(awaited), len(self._problem.space))
        gain = posterior.expected_gain(shortlist, rows, random)
        return np.asarray(shortlist.rows[int(np.where(free, gain, -np.inf).argmax())])

    def _final(self) -> Matrix | None:
        """The best of stage 2 that was not trained in full yet; None where none is left."""
        seen, posterior, _ = self._fitted()
        if self._finals is None or self._finals[0] != seen:
            self._finals = seen, self._searched(posterior)
        done = {one.key for one in self._results if not one.observation.stopped} | self._failed
        done |= {row.tobytes() for row in self._pending.values()}
        return next((row for row in self._finals[1] if row.tobytes() not in done), None)

    def _searched(self, posterior: Posterior) -> list[Matrix]:
        problem = self._problem
        limits = [one for one in (*problem.hard, *problem.constraints) if posterior.knows(one.metric)]
        try:
            found = search(
                posterior.predictors,
                problem.space,
                problem.cost_model,
                limits,
                problem.objectives,
                seeds=posterior.results,
                k=min(self._options.top + len(self._results), _MOST_FINALS),
                seed=self.seed,
            )
        except NothingFeasible:
            return []
        return [one.row for one in found]

    def _fitted(self) -> tuple[int, Posterior, Shortlist]:
        """(results seen, what is believed since, shortlist)"""
        seen = fitted_results(len(self._results))
        if self._fit is None or self._fit[0] != seen:
            posterior = self._surrogate.posterior(self._results[:seen])
            random = generator(self.seed, seen, _TAG)
            self._fit = seen, posterior, posterior.shortlist(self._pool, random)
        return self._fit

    @cached_property
    def _pool(self) -> CandidatePool:
        return CandidatePool(self._problem, self._surrogate.encoding, self._options.pool, self._options.batch)

    # ---- what is pending -------------------------------------------------------------------------------------------

    def _release(self, key: bytes, failure: FailureKind | None) -> None:
        """The latest ask of a candidate is let go."""
        asked = max(self._asks_of(key), default=None)
        if asked is not None:
            del self._pending[asked]
            if failure is not FailureKind.INFEASIBLE:
                self._failed.add(key)

    def _asks_of(self, key: bytes) -> list[int]:
        return [asks for asks, row in self._pending.items() if row.tobytes() == key]

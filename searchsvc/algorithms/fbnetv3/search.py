"""FBNetV3 (Dai et al. 2021, arXiv 2006.02049): joint search of architecture and recipe with a learned predictor.

::

    trials:       0 ...... startup ....... batch ...................... budget - top ............. budget
    candidates:   quasi-random | by expected improvement of the predictor | stage 2: evolutionary search
    trained:      in full ................. | to the early-stop epoch ..... | in full

The predictor is fitted again to all results after each new result. If there are many results, it is fitted less often,
so that an ask costs little on average. The search never waits for a batch: pending candidates are assumed to measure
their predictions. Between two fits, candidates come from the same shortlist. A proposal depends only on the results in
their order, the pending candidates and the number of asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from searchsvc.algorithms.base import Algorithm, Problem, generator
from searchsvc.algorithms.fbnetv3.history import History
from searchsvc.algorithms.fbnetv3.pool import CandidatePool
from searchsvc.algorithms.fbnetv3.posterior import Posterior, Shortlist
from searchsvc.algorithms.fbnetv3.surrogate import Surrogate, fitted_results
from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.ranking import signed_values
from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.spec import StoppingSpec
from searchsvc.errors import NothingFeasible, below
from searchsvc.predictors.constrained_search import search
from searchsvc.predictors.early_stop import LEAST_TRIALS
from searchsvc.predictors.encoding import check_width
from searchsvc.predictors.threads import one_thread
from searchsvc.spaces.space import Matrix

_MOST_FINALS = 256
"""Maximum number of candidates that stage 2 searches for."""
_TAG = 0xFB3


class FbnetV3Options(MethodOptions):
    """Options of FBNetV3.

    The paper's batch is 48 of hundreds of trials. `startup` is small, as few results suffice for a useful predictor.
    """

    example: ClassVar[Mapping[str, Any]] = {"startup": 4, "batch": 4, "pool": 64}

    startup: Annotated[
        int, Field(ge=2, le=100_000, description="Number of results up to which candidates are quasi-random.")
    ] = 4
    batch: Annotated[
        int, Field(ge=LEAST_TRIALS, le=100_000, description="Size of the first batch, which is trained in full.")
    ] = 12
    threshold: Annotated[
        float,
        Field(gt=0, le=1, description="Rank correlation with the last epoch from which training is stopped early."),
    ] = 0.92
    top: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="Number of last trials in the budget that come from the evolutionary search and train in full.",
        ),
    ] = 5
    pool: Annotated[
        int, Field(ge=16, le=1_000_000, description="Quasi-random candidates within the hard constraints.")
    ] = 4096
    neural: Annotated[
        bool, Field(description="Whether to average in the neural ensemble, with the weight that the results give it.")
    ] = True


def stopping(options: FbnetV3Options) -> StoppingSpec:
    """Configure the early-stop epoch as a stopping rule."""
    return StoppingSpec(name="rank-correlation", trials=options.batch, threshold=options.threshold)


@dataclass(slots=True)
class Fit:
    """The surrogate fitted to the first `results` results, and the candidates chosen by it."""

    results: int
    posterior: Posterior
    shortlist: Shortlist
    finals: list[Matrix] | None = None
    """(d,) candidates of stage 2, best first; None until they are searched for."""


class FbnetV3(Algorithm):
    """Joint search of architecture and recipe; the module describes its stages."""

    learns_from_histories = True

    def __init__(self, problem: Problem, options: FbnetV3Options) -> None:
        """Raises InvalidInput (pointer `/name`) if the space has too many choices for the predictor."""
        super().__init__(problem)
        with below("/name"):
            check_width(problem.space)
        self._options = options
        self._surrogate = Surrogate(problem, batch=options.batch, threshold=options.threshold, neural=options.neural)
        self._history = History(problem.space)
        self._finals_asked: set[int] = set()
        """Asks of the last stage."""
        self._rounds = 0
        """Rounds reported so far."""
        self._fit: Fit | None = None

    def tell(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            row = self._history.row(observation.candidate)
            if signed_values(observation.metrics, self._surrogate.measured_objectives) is None:
                self._history.release(row, observation.failure)
            else:
                self._history.finish(row, self._surrogate.compacted(observation, self._history.results))

    def resume(self, candidate: Candidate, asks: int) -> None:
        super().resume(candidate, asks)
        self._history.restart(asks, self._history.row(candidate))

    def is_in_full(self, asks: int) -> bool:
        return asks <= self._options.batch or asks in self._finals_asked

    def take_rounds(self) -> list[tuple[int, Mapping[str, Any]]]:
        results, batch = self._history.results, self._options.batch
        rounds: list[tuple[int, Mapping[str, Any]]] = []
        while (end := end_of_round(self._rounds, batch)) <= len(results):
            start = end_of_round(self._rounds - 1, batch) if self._rounds else 0
            quality = self._surrogate.quality(results[:start], results[start:end]) if start else {}
            epoch = self._surrogate.early_stop_epoch(results[:end])
            rounds.append((self._rounds, {"results": end, "early_stop_epoch": epoch, "quality": quality}))
            self._rounds += 1
        return rounds

    # ---- one candidate ---------------------------------------------------------------------------------------------

    def _next(self, asks: int) -> Candidate:
        with one_thread():
            row = self._propose(asks)
        self._history.start(asks, row)
        return self._problem.space.from_matrix(row[None])[0]

    def _propose(self, asks: int) -> Matrix:
        """(d,) a candidate of the current stage; of an earlier stage if the current stage has none left."""
        random = generator(self.seed, asks - 1)
        if len(self._history.results) >= self._options.startup:
            if self._is_last_stage() and (final := self._final()) is not None:
                self._finals_asked.add(asks)
                return final
            if (best := self._most_promising(random)) is not None:
                return best
        return self._quasi_random(random)

    def _is_last_stage(self) -> bool:
        return self._trials_left is not None and self._trials_left <= self._options.top

    def _quasi_random(self, random: np.random.Generator) -> Matrix:
        """(d,) the first row of the pool that is not taken; a uniform draw if all rows are."""
        taken = self._history.taken()
        free = (row for row, key in zip(self._pool.rows, self._pool.keys, strict=True) if key not in taken)
        row = next(free, None)
        return np.asarray(self._problem.space.sample(1, random)[0] if row is None else row)

    def _most_promising(self, random: np.random.Generator) -> Matrix | None:
        """(d,) the candidate of the shortlist with the largest expected gain, given the awaited candidates.

        None if all are taken.
        """
        fit, taken = self._fitted(), self._history.taken()
        free = np.array([key not in taken for key in fit.shortlist.keys], dtype=bool)  # (s,)
        if not free.any():
            return None
        gain = fit.posterior.expected_gain(fit.shortlist, self._history.awaited(fit.results), random)  # (s,)
        return np.asarray(fit.shortlist.rows[int(np.where(free, gain, -np.inf).argmax())])

    def _final(self) -> Matrix | None:
        """(d,) the best candidate of stage 2 that was not trained in full; None if all were."""
        fit = self._fitted()
        if fit.finals is None:
            fit.finals = self._searched(fit.posterior)
        taken = self._history.taken_in_full()
        return next((row for row in fit.finals if row.tobytes() not in taken), None)

    def _searched(self, posterior: Posterior) -> list[Matrix]:
        """Rows (d,) of stage 2: an evolutionary search by prediction, starting from the results."""
        problem = self._problem
        limits = [limit for limit in (*problem.hard, *problem.constraints) if posterior.predicts(limit.metric)]
        try:
            answers = search(
                posterior.predictors,
                problem.space,
                problem.cost_model,
                limits,
                problem.objectives,
                seeds=posterior.results,
                k=min(self._options.top + len(self._history.results), _MOST_FINALS),
                seed=self.seed,
            )
        except NothingFeasible:
            return []
        return [answer.row for answer in answers]

    def _fitted(self) -> Fit:
        """The current fit, renewed after enough new results."""
        results = fitted_results(len(self._history.results))
        if self._fit is None or self._fit.results != results:
            posterior = self._surrogate.posterior(self._history.results[:results])
            shortlist = posterior.shortlist(self._pool, generator(self.seed, results, _TAG))
            self._fit = Fit(results, posterior, shortlist)
        return self._fit

    @cached_property
    def _pool(self) -> CandidatePool:
        return CandidatePool(self._problem, self._surrogate.encoding, self._options.pool, self._options.batch)


def end_of_round(number: int, batch: int) -> int:
    """Results at the end of round `number`: a batch more than in the previous round, a quarter more from the fifth."""
    end = batch
    for _ in range(number):
        end = max(end + batch, end * 5 // 4)
    return end

"""What FBNetV3 believes after some results: predictors of all that is measured, a shortlist of what is worth trying.

| symbol | meaning | shape |
|---|---|---|
| S | shortlist: the candidates of the largest expected improvement | (s, d) |
| P | candidates whose results are awaited | (p, d) |

A shortlist serves all asks until the next fit. What is awaited is taken to measure what is predicted (kriging believer,
Ginsbourger et al. 2010): means stay, deviations shrink around it, so that a batch is not one candidate over and over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.algorithms.base import Problem
from searchsvc.algorithms.fbnetv3.acquisition import improvement, probability_within, scalarised_improvement, top
from searchsvc.algorithms.fbnetv3.pool import CandidatePool
from searchsvc.domain.pareto import nondominated_ranks
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.gaussian import Located
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.variation import distinct
from searchsvc.predictors.warp import Warp
from searchsvc.spaces.costs.model import within
from searchsvc.spaces.space import Matrix

SHORTLIST = 1024
BELIEVED = 64
"""Awaited candidates that deviations shrink around: the latest."""
_CHUNK = 8192
_PARENTS, _NEIGHBOURS, _ROUNDS = 20, 32, 2
_WEIGHTINGS = 8
"""Draws of weights for which a shortlist is made, with several objectives."""
_LEAST_DEVIATION = 1e-9


Estimate = Mapping[str, tuple[Matrix, Matrix]]
"""metric -> (n,) means and standard deviations, in units of the predictors' targets."""


@dataclass(frozen=True, slots=True)
class Shortlist:
    """S, and what is believed of it before anything is awaited."""

    rows: Matrix
    keys: tuple[bytes, ...]
    estimate: Estimate
    located: Mapping[str, Located]
    """metric -> S as the posterior sees it."""


class Posterior:
    """Made of results alone: the same for the same results in the same order."""

    def __init__(
        self,
        problem: Problem,
        encoding: Encoding,
        predictors: Mapping[str, Predictor],
        results: Matrix,
        measured: Mapping[str, Matrix],
    ) -> None:
        """`predictors` by metric, for objectives and limits that are measured; `results` (r, d) and `measured`
        (metric -> (r,)) are what they were fitted to."""
        self.predictors = predictors
        self.results = results
        self._problem = problem
        self._encoding = encoding
        costs = problem.cost_model(results)
        self._exact = {
            one.metric: Warp.of(costs[one.metric]) for one in problem.objectives if one.metric not in predictors
        }
        self._kept = within(measured, problem.constraints, len(results))
        """(r,) which results keep all limits."""
        estimate = self._estimate(results, encoding.features(results))
        self._known = self._objectives(results, estimate)[0]
        """(m, r) posterior means of the objectives."""

    def shortlist(self, pool: CandidatePool, random: np.random.Generator) -> Shortlist:
        """S, without the results."""
        rows = self._chosen(pool, random)
        features = self._encoding.features(rows)
        located = {metric: one.process.locate(features) for metric, one in self.predictors.items()}
        return Shortlist(rows, tuple(row.tobytes() for row in rows), self._estimate(rows, features), located)

    def _chosen(self, pool: CandidatePool, random: np.random.Generator) -> Matrix:
        rows, told = pool.rows, {row.tobytes() for row in self.results}
        left = np.array([key not in told for key in pool.keys], dtype=bool)
        scores = np.where(left, self._scores(rows, pool.features, random), -np.inf)
        chosen = top(scores, SHORTLIST)
        chosen = chosen[np.isfinite(scores[chosen])]
        rows, scores = rows[chosen], scores[chosen]
        if pool.is_whole:
            return rows
        parents = self.results[top(self.merits, _PARENTS)]
        for _ in range(_ROUNDS):
            near = pool.around(parents, _NEIGHBOURS, random)
            near = near[np.array([row.tobytes() not in told for row in near], dtype=bool)]
            gains = self._scores(near, self._encoding.features(near), random)
            rows, scores = np.vstack([rows, near]), np.concatenate([scores, gains])
            first = distinct(rows)
            rows, scores = rows[first], scores[first]
            chosen = top(scores, SHORTLIST)
            rows, scores = rows[chosen], scores[chosen]
            parents = rows[:_PARENTS]
        return rows

    def expected_gain(self, shortlist: Shortlist, awaited: Matrix, random: np.random.Generator) -> Matrix:
        """(s,) of S, given P. With several objectives, under weights that `random` draws."""
        pending = self._encoding.features(awaited[-BELIEVED:])
        estimate = {}
        for metric, (means, deviations) in shortlist.estimate.items():
            process = self.predictors[metric].process
            shrinkage = process.shrinkage(shortlist.located[metric], process.locate(pending))
            estimate[metric] = means, deviations * shrinkage
        return self._gain(shortlist.rows, estimate, random)

    def knows(self, metric: str) -> bool:
        """Whether a limit on it can be judged before training."""
        return metric in self.predictors or metric in self._problem.cost_model.metrics

    @property
    def merits(self) -> Matrix:
        """(r,) how good each result is believed to be: larger is better."""
        values = self._known[0] if len(self._known) == 1 else -nondominated_ranks(self._known.T).astype(np.float64)
        return np.asarray(np.where(self._kept, values, values.min() - 1.0 + 1e-3 * values))

    def _estimate(self, rows: Matrix, features: NDArray[np.floating]) -> Estimate:
        return {metric: one.latent(rows, features) for metric, one in self.predictors.items()}

    def _scores(self, rows: Matrix, features: NDArray[np.floating], random: np.random.Generator) -> Matrix:
        """(n,) what a shortlist is chosen by: the expected gain; with several objectives its best rank over weights."""
        parts = [slice(start, start + _CHUNK) for start in range(0, max(len(rows), 1), _CHUNK)]
        estimates = [self._estimate(rows[part], features[part]) for part in parts]
        whole = {metric: _joined([one[metric] for one in estimates]) for metric in self.predictors}
        if len(self._problem.objectives) == 1:
            return self._gain(rows, whole, random)
        ranks = [np.argsort(np.argsort(self._gain(rows, whole, random))) for _ in range(_WEIGHTINGS)]
        return np.asarray(np.max(ranks, axis=0), dtype=np.float64)

    def _gain(self, rows: Matrix, estimate: Estimate, random: np.random.Generator) -> Matrix:
        """(n,)"""
        within = np.ones(len(rows))
        for constraint in self._problem.constraints:
            if (predictor := self.predictors.get(constraint.metric)) is None:
                continue
            low = -np.inf if constraint.min is None else predictor.warp.forward(np.array([constraint.min]))[0]
            high = np.inf if constraint.max is None else predictor.warp.forward(np.array([constraint.max]))[0]
            within *= probability_within(*estimate[constraint.metric], low, high)
        if not self._kept.any():
            return within
        means, deviations = self._objectives(rows, estimate)
        known = self._known[:, self._kept]
        if len(means) == 1:
            return within * improvement(means[0], deviations[0], float(known.max()))
        return within * scalarised_improvement(means, deviations, known, random)

    def _objectives(self, rows: Matrix, estimate: Estimate) -> tuple[Matrix, Matrix]:
        """(m, n) means and deviations of the objectives, signed; those that the cost model knows are exact."""
        costs = self._problem.cost_model(rows) if self._exact else {}
        means, deviations = [], []
        for one in self._problem.objectives:
            if one.metric in self._exact:
                mean, deviation = self._exact[one.metric].forward(costs[one.metric]), np.zeros(len(rows))
            else:
                mean, deviation = estimate[one.metric]
            means.append(one.sign * mean)
            deviations.append(deviation)
        return np.stack(means), np.maximum(np.stack(deviations), _LEAST_DEVIATION)


def _joined(parts: Sequence[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    means, deviations = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(deviations)

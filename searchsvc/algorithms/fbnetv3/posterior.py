"""The posterior of FBNetV3: predictors fitted to results, and a shortlist of the most promising candidates.

| name | meaning | shape |
|---|---|---|
| results | rows of the results that the predictors were fitted to | (r, d) |
| shortlist.rows | candidates of the largest expected improvement | (s, d) |
| awaited | candidates whose results are awaited | (p, d) |
| means, deviations | of the objectives, signed so that larger is better, in units of the targets | (m, n) |

A shortlist serves all asks until the next fit. Awaited candidates are assumed to measure their predictions (kriging
believer, Ginsbourger et al. 2010): means stay, and deviations shrink around them, so that a batch does not repeat the
same candidate.
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
from searchsvc.predictors.gaussian import ProjectedPoints
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.variation import distinct
from searchsvc.predictors.warp import Warp
from searchsvc.spaces.costs.model import within
from searchsvc.spaces.space import Matrix

SHORTLIST = 1024
BELIEVED = 64
"""Maximum number of awaited candidates around which deviations shrink; the latest count."""
_CHUNK = 8192
"""Rows that are predicted at once."""
_PARENTS, _NEIGHBOURS, _ROUNDS = 20, 32, 2
"""In each round, so many neighbours of each of so many parents join the shortlist."""
_WEIGHTINGS = 8
"""Draws of weights over which a shortlist is chosen if there are several objectives."""
_LEAST_DEVIATION = 1e-9

Marginals = Mapping[str, tuple[Matrix, Matrix]]
"""metric -> (n,) means and standard deviations, in units of the predictors' targets."""


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Promising candidates, and their predictions if no result is awaited."""

    rows: Matrix
    """(s, d)"""
    keys: tuple[bytes, ...]
    """(s,) equal for equal rows."""
    estimate: Marginals
    projected: Mapping[str, ProjectedPoints]
    """metric -> `rows` projected on the results of the Gaussian process."""


class Posterior:
    """Predictions of a problem's candidates, given results. The same results in the same order give the same posterior.
    """

    def __init__(
        self,
        problem: Problem,
        encoding: Encoding,
        predictors: Mapping[str, Predictor],
        results: Matrix,
        measured: Mapping[str, Matrix],
    ) -> None:
        """`predictors`: by measured objective or outcome constraint, fitted to `results` (r, d) and `measured`.

        `measured`: metric -> (r,).
        """
        self.predictors = predictors
        self.results = results
        self._problem = problem
        self._encoding = encoding
        costs = problem.cost_model(results)  # metric -> (r,)
        self._exact = {
            goal.metric: Warp.of(costs[goal.metric]) for goal in problem.objectives if goal.metric not in predictors
        }
        self._within = within(measured, problem.constraints, len(results))
        """(r,) whether a result is within all outcome constraints."""
        estimate = self._estimate(results, encoding.features(results))  # metric -> (r,) each
        self._result_means = self._objectives(results, estimate)[0]
        """(m, r) posterior means of the objectives."""

    def shortlist(self, pool: CandidatePool, random: np.random.Generator) -> Shortlist:
        """Choose the candidates of the largest expected gain that have no result yet."""
        rows = self._chosen(pool, random)
        features = self._encoding.features(rows)  # (s, f)
        projected = {metric: predictor.process.project(features) for metric, predictor in self.predictors.items()}
        return Shortlist(rows, tuple(row.tobytes() for row in rows), self._estimate(rows, features), projected)

    def _chosen(self, pool: CandidatePool, random: np.random.Generator) -> Matrix:
        """(s, d) the best rows of the pool and, unless the pool is the whole space, the best of their neighbours."""
        rows, measured = pool.rows, {row.tobytes() for row in self.results}
        new = np.array([key not in measured for key in pool.keys], dtype=bool)  # (n,)
        scores = np.where(new, self._scores(rows, pool.features, random), -np.inf)  # (n,)
        chosen = top(scores, SHORTLIST)
        chosen = chosen[np.isfinite(scores[chosen])]  # (s,) indices
        rows, scores = rows[chosen], scores[chosen]  # (s, d), (s,)
        if pool.is_whole:
            return rows
        parents = self.results[top(self.merits, _PARENTS)]  # (parents, d)
        for _ in range(_ROUNDS):
            near = pool.around(parents, _NEIGHBOURS, random)  # (neighbours, d)
            near = near[np.array([row.tobytes() not in measured for row in near], dtype=bool)]
            gains = self._scores(near, self._encoding.features(near), random)  # (neighbours,)
            rows, scores = np.vstack([rows, near]), np.concatenate([scores, gains])
            first = distinct(rows)
            rows, scores = rows[first], scores[first]
            chosen = top(scores, SHORTLIST)
            rows, scores = rows[chosen], scores[chosen]
            parents = rows[:_PARENTS]  # (parents, d)
        return rows

    def expected_gain(self, shortlist: Shortlist, awaited: Matrix, random: np.random.Generator) -> Matrix:
        """(s,) gain of `shortlist`, given `awaited` (p, d). With several objectives, `random` draws their weights."""
        pending = self._encoding.features(awaited[-BELIEVED:])  # (p, f)
        estimate = {}
        for metric, (means, deviations) in shortlist.estimate.items():
            process = self.predictors[metric].process
            shrinkage = process.shrinkage(shortlist.projected[metric], process.project(pending))  # (s,)
            estimate[metric] = means, deviations * shrinkage
        return self._gain(shortlist.rows, estimate, random)

    def predicts(self, metric: str) -> bool:
        """True if a limit on `metric` can be checked before training."""
        return metric in self.predictors or metric in self._problem.cost_model.metrics

    @property
    def merits(self) -> Matrix:
        """(r,) expected quality of each result, larger is better. Results within all limits come first."""
        means = self._result_means  # (m, r)
        values = means[0] if len(means) == 1 else -nondominated_ranks(means.T).astype(np.float64)
        return np.asarray(np.where(self._within, values, values.min() - 1.0 + 1e-3 * values))

    def _estimate(self, rows: Matrix, features: NDArray[np.floating]) -> Marginals:
        """metric -> (n,) means and deviations of `rows` (n, d) with `features` (n, f)."""
        return {metric: predictor.latent(rows, features) for metric, predictor in self.predictors.items()}

    def _scores(self, rows: Matrix, features: NDArray[np.floating], random: np.random.Generator) -> Matrix:
        """(n,) scores for the choice of a shortlist: the expected gain.

        With several objectives, the best rank by expected gain over several draws of their weights.
        """
        size = min(_CHUNK, self._encoding.rows_at_once)
        parts = [slice(start, start + size) for start in range(0, max(len(rows), 1), size)]
        estimates = [self._estimate(rows[part], features[part]) for part in parts]
        whole = {metric: _joined([estimate[metric] for estimate in estimates]) for metric in self.predictors}  # (n,)
        if len(self._problem.objectives) == 1:
            return self._gain(rows, whole, random)
        ranks = [np.argsort(np.argsort(self._gain(rows, whole, random))) for _ in range(_WEIGHTINGS)]  # (n,) each
        return np.asarray(np.max(ranks, axis=0), dtype=np.float64)

    def _gain(self, rows: Matrix, estimate: Marginals, random: np.random.Generator) -> Matrix:
        """(n,) expected gain of `rows` (n, d): improvement times the probability of keeping the outcome constraints."""
        within = np.ones(len(rows))  # (n,) probability
        for constraint in self._problem.constraints:
            if (predictor := self.predictors.get(constraint.metric)) is None:
                continue
            low = -np.inf if constraint.min is None else predictor.warp.forward(np.array([constraint.min]))[0]
            high = np.inf if constraint.max is None else predictor.warp.forward(np.array([constraint.max]))[0]
            within *= probability_within(*estimate[constraint.metric], low, high)
        if not self._within.any():
            return within
        means, deviations = self._objectives(rows, estimate)  # (m, n)
        reference = self._result_means[:, self._within]  # (m, results within the limits)
        if len(means) == 1:
            return within * improvement(means[0], deviations[0], float(reference.max()))
        return within * scalarised_improvement(means, deviations, reference, random)

    def _objectives(self, rows: Matrix, estimate: Marginals) -> tuple[Matrix, Matrix]:
        """(m, n) means and deviations of the objectives, signed; an objective that is a cost is exact."""
        costs = self._problem.cost_model(rows) if self._exact else {}  # metric -> (n,)
        means, deviations = [], []
        for goal in self._problem.objectives:
            if goal.metric in self._exact:
                mean, deviation = self._exact[goal.metric].forward(costs[goal.metric]), np.zeros(len(rows))
            else:
                mean, deviation = estimate[goal.metric]
            means.append(goal.sign * mean)  # (n,)
            deviations.append(deviation)
        return np.stack(means), np.maximum(np.stack(deviations), _LEAST_DEVIATION)


def _joined(parts: Sequence[tuple[Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """(n,) means and deviations, joined from consecutive chunks."""
    means, deviations = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(deviations)

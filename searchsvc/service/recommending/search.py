"""The search behind `recommend`: predictors fitted to a job's results, and an evolutionary search with them.

The best candidates by a prediction are nearly identical, with a dropout rate that differs in the third digit. A user
who asks for five wants a choice, not five bets on the same error of the predictor. So with a single objective, each
result is the best of the candidates that differ from the earlier results in a fifth of their parameters; with several
objectives, the results lie evenly along the predicted front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchsvc.domain import Categorical, Constraint, Objective, Observation, pareto_front
from searchsvc.errors import NothingFeasible
from searchsvc.predictors import constrained_search
from searchsvc.predictors.constrained_search import PredictedCandidate
from searchsvc.predictors.predictor import Predictor, fit_predictors
from searchsvc.service.recommending.training_data import TrainingData
from searchsvc.spaces import CostModel, Identity, Matrix, Space

_APART = Constraint(metric="_apart", min=0.2)
"""The share of its parameters in which a result differs from every earlier result."""
_NOTABLE = 0.1
"""Two numbers differ if at least this share of their range lies between them."""
_FRONT = 100
"""Candidates searched for with several objectives, of which those on the front are kept."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted value of a metric."""

    mean: float
    deviation: float
    """Standard deviation: how far off the truth may be."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The training data of the predictors, and the goal and the limits of the search with them."""

    training_data: TrainingData
    space: Space
    cost_model: CostModel
    identity: Identity | None
    """Tells candidates apart; if None, their values do."""
    constraints: tuple[Constraint, ...]
    """On costs and on predicted metrics."""
    predicted: tuple[str, ...]
    """Metrics that only training shows."""
    example: Matrix
    """(1, d) a candidate that keeps the limits on costs, or none: (0, d)."""
    objectives: tuple[Objective, ...]
    k: int
    seed: int

    def keys(self, matrix: Matrix) -> list[bytes]:
        """Return a key for each row of (n, d), equal for rows that are the same candidate."""
        return [row.tobytes() for row in (self.identity(matrix) if self.identity else matrix)]


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """A row of the space with its predicted metrics."""

    row: Matrix
    """(d,) row of the space's matrix."""
    predicted: Mapping[str, Prediction]


def search(request: SearchRequest) -> Sequence[PredictedRow]:
    """Fit the predictors and search with them; deterministic. Raises NothingFeasible."""
    predicted_search = _PredictedSearch(request, _fitted(request))
    is_single = len(request.objectives) == 1
    candidates = _different_candidates(predicted_search) if is_single else _along_the_front(predicted_search)
    return [
        PredictedRow(
            candidate.row,
            {metric: Prediction(candidate.means[metric], candidate.deviations[metric]) for metric in request.predicted},
        )
        for candidate in candidates
    ]


def _fitted(request: SearchRequest) -> Mapping[str, Predictor]:
    data = request.training_data
    candidates = request.space.from_matrix(data.matrix)
    return fit_predictors(
        request.space,
        [Observation(candidate, metrics) for candidate, metrics in zip(candidates, data.metrics, strict=True)],
        request.predicted,
        cost_model=request.cost_model,
        seed=request.seed,
    )


@dataclass(frozen=True, slots=True)
class _PredictedSearch:
    """A request and the predictors fitted to its training data."""

    request: SearchRequest
    predictors: Mapping[str, Predictor]

    def best(self, k: int, chosen: Matrix) -> list[PredictedCandidate]:
        """Return the k best candidates within the limits that differ from `chosen` (c, d). Raises NothingFeasible."""
        request = self.request
        difference = CostModel((_APART.metric,), lambda matrix: {_APART.metric: _difference(request, matrix, chosen)})
        return constrained_search.search(
            self.predictors,
            request.space,
            request.cost_model | difference,
            (*request.constraints, _APART),
            request.objectives,
            seeds=np.vstack([request.training_data.matrix, request.example]),
            k=k,
            seed=request.seed,
        )


def _different_candidates(search: _PredictedSearch) -> list[PredictedCandidate]:
    candidates = search.best(1, np.empty((0, len(search.request.space))))
    while len(candidates) < search.request.k:
        try:
            candidates += search.best(1, np.stack([candidate.row for candidate in candidates]))
        except NothingFeasible:
            break
    return sorted(candidates, key=lambda candidate: _order(search.request, candidate))


def _order(request: SearchRequest, candidate: PredictedCandidate) -> tuple[float, float]:
    """Sort key, less is better: the excess over predicted limits, then the objective.

    A later search may find a better candidate than an earlier one.
    """
    limits = [constraint for constraint in request.constraints if constraint.metric in request.predicted]
    broken = sum(float(limit.excess(np.array([candidate.means[limit.metric]]))[0]) for limit in limits)
    objective = request.objectives[0]
    return broken, -objective.sign * candidate.means[objective.metric]


def _along_the_front(search: _PredictedSearch) -> list[PredictedCandidate]:
    request = search.request
    candidates = search.best(max(_FRONT, request.k), np.empty((0, len(request.space))))
    values = np.array(  # (n, m), larger is better
        [[goal.sign * candidate.means[goal.metric] for goal in request.objectives] for candidate in candidates]
    )
    order = np.argsort(-values[:, 0], kind="stable")
    front = order[pareto_front(values)[order]]
    return [candidates[front[place]] for place in _evenly(len(front), request.k)]


def _evenly(n: int, k: int) -> list[int]:
    """Return k of n indices with the first and the last among them, or all."""
    return sorted(set(np.linspace(0, n - 1, min(n, k)).round().astype(int).tolist()))


def _difference(request: SearchRequest, matrix: Matrix, chosen: Matrix) -> Matrix:
    """Return (n,): the share of parameters in which each candidate differs notably from the nearest of `chosen`."""
    share = np.ones(len(matrix))
    are_choices = [isinstance(parameter, Categorical) for parameter in request.space.parameters]
    tolerance = np.where(are_choices, 0.0, _NOTABLE)  # (d,)
    unit, others = request.space.to_unit(matrix), request.space.to_unit(chosen)  # (n, d), (c, d)
    identity = request.identity or (lambda rows: rows)
    same, others_same = identity(matrix), identity(chosen) if len(chosen) else chosen
    for row, code in zip(others, others_same, strict=True):
        differs = (np.abs(unit - row) > tolerance) | (np.isnan(unit) != np.isnan(row))  # (n, d)
        alike = ((same == code) | (np.isnan(same) & np.isnan(code))).all(axis=1)
        share = np.minimum(share, np.where(alike, 0.0, differs.mean(axis=1)))
    return share

"""The search that a predictor guides: what `recommend` asks.

The best candidates by a prediction are nearly one candidate, with a dropout rate that differs in the third digit. Who
asks for five wants to choose, and not to bet five times on one error of the predictor. So with one objective each
answer is the best of those that differ from the ones before it in a fifth of their parameters; with several objectives,
the answers lie evenly along the predicted front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from searchsvc.domain import Categorical, Constraint, Observation, pareto_front
from searchsvc.errors import NothingFeasible
from searchsvc.predictors import constrained_search as evolution
from searchsvc.predictors.constrained_search import Found as Answer
from searchsvc.predictors.predictor import Predictor, fit_predictors
from searchsvc.service.recommending.recommend import Found, Inquiry, Prediction
from searchsvc.spaces import CostModel, Matrix

_APART = Constraint(metric="_apart", min=0.2)
"""The share of its parameters in which an answer differs from every one before it."""
_NOTABLE = 0.1
"""Numbers differ where so much of their range lies between them."""
_FRONT = 100
"""Answers of several objectives, of which those on the front are kept."""


def search(inquiry: Inquiry) -> Sequence[Found]:
    """Fit the predictors, then search with them; the same for the same results. Raises NothingFeasible."""
    guide = _Guide(inquiry, _fitted(inquiry))
    answers = _one_by_one(guide) if len(inquiry.objectives) == 1 else _along_the_front(guide)
    return [
        Found(one.row, {name: Prediction(one.means[name], one.deviations[name]) for name in inquiry.predicted})
        for one in answers
    ]


def _fitted(inquiry: Inquiry) -> Mapping[str, Predictor]:
    known = inquiry.known
    candidates = inquiry.space.from_matrix(known.matrix)
    return fit_predictors(
        inquiry.space,
        [Observation(one, metrics) for one, metrics in zip(candidates, known.metrics, strict=True)],
        inquiry.predicted,
        cost_model=inquiry.cost_model,
        seed=inquiry.seed,
    )


@dataclass(frozen=True, slots=True)
class _Guide:
    """An inquiry and what answers it."""

    inquiry: Inquiry
    predictors: Mapping[str, Predictor]

    def best(self, k: int, chosen: Matrix) -> list[Answer]:
        """The k best within the limits, apart from those `chosen` (c, d). Raises NothingFeasible."""
        inquiry = self.inquiry
        difference = CostModel((_APART.metric,), lambda matrix: {_APART.metric: _difference(inquiry, matrix, chosen)})
        return evolution.search(
            self.predictors,
            inquiry.space,
            inquiry.cost_model | difference,
            (*inquiry.constraints, _APART),
            inquiry.objectives,
            seeds=np.vstack([inquiry.known.matrix, inquiry.example]),
            k=k,
            seed=inquiry.seed,
        )


def _one_by_one(guide: _Guide) -> list[Answer]:
    answers = guide.best(1, np.empty((0, len(guide.inquiry.space))))
    while len(answers) < guide.inquiry.k:
        try:
            answers += guide.best(1, np.stack([one.row for one in answers]))
        except NothingFeasible:
            break
    return sorted(answers, key=lambda one: _order(guide.inquiry, one))


def _order(inquiry: Inquiry, answer: Answer) -> tuple[float, float]:
    """Less is better: first what keeps predicted limits, then the objective; a later search may find better ones."""
    limits = [one for one in inquiry.constraints if one.metric in inquiry.predicted]
    broken = sum(float(one.excess(np.array([answer.means[one.metric]]))[0]) for one in limits)
    objective = inquiry.objectives[0]
    return broken, -objective.sign * answer.means[objective.metric]


def _along_the_front(guide: _Guide) -> list[Answer]:
    inquiry = guide.inquiry
    answers = guide.best(max(_FRONT, inquiry.k), np.empty((0, len(inquiry.space))))
    values = np.array([[goal.sign * one.means[goal.metric] for goal in inquiry.objectives] for one in answers])
    order = np.argsort(-values[:, 0], kind="stable")
    front = order[pareto_front(values)[order]]
    return [answers[front[place]] for place in _evenly(len(front), inquiry.k)]


def _evenly(n: int, k: int) -> list[int]:
    """k of n places, the first and the last among them, or all."""
    return sorted(set(np.linspace(0, n - 1, min(n, k)).round().astype(int).tolist()))


def _difference(inquiry: Inquiry, matrix: Matrix, chosen: Matrix) -> Matrix:
    """(n,) the share of parameters in which each candidate differs notably from the nearest of those chosen."""
    share = np.ones(len(matrix))
    kinds = [isinstance(parameter, Categorical) for parameter in inquiry.space.parameters]
    tolerance = np.where(kinds, 0.0, _NOTABLE)
    unit, others = inquiry.space.to_unit(matrix), inquiry.space.to_unit(chosen)
    identity = inquiry.identity or (lambda rows: rows)
    same, others_same = identity(matrix), identity(chosen) if len(chosen) else chosen
    for row, code in zip(others, others_same, strict=True):
        differs = (np.abs(unit - row) > tolerance) | (np.isnan(unit) != np.isnan(row))
        alike = ((same == code) | (np.isnan(same) & np.isnan(code))).all(axis=1)
        share = np.minimum(share, np.where(alike, 0.0, differs.mean(axis=1)))
    return share

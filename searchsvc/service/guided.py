"""The search that a predictor guides: what `recommend` asks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchsvc.domain import Observation
from searchsvc.service.recommend import Found, Inquiry, Prediction

_SPARE = 4
"""Answers that are asked for per one that is wanted: some differ only in what their network does not show."""


def search(inquiry: Inquiry) -> Sequence[Found]:
    """Fit the predictors, then search with them; the same for the same results. Raises NothingFeasible."""
    from searchsvc.predictors import evolution  # torch takes seconds to import
    from searchsvc.predictors.predictor import fit_predictors

    known = inquiry.known
    candidates = inquiry.space.from_matrix(known.matrix)
    predictors = fit_predictors(
        inquiry.space,
        [Observation(one, metrics) for one, metrics in zip(candidates, known.metrics, strict=True)],
        inquiry.predicted,
        cost_model=inquiry.cost_model,
        seed=inquiry.seed,
    )
    answers = evolution.search(
        predictors,
        inquiry.space,
        inquiry.cost_model,
        inquiry.constraints,
        inquiry.objectives,
        seeds=np.vstack([known.matrix, inquiry.example]),
        k=_SPARE * inquiry.k,
        seed=inquiry.seed,
    )
    keys = inquiry.keys(np.stack([one.row for one in answers]))
    different = [one for index, one in enumerate(answers) if keys[index] not in keys[:index]]
    return [
        Found(one.row, {name: Prediction(one.means[name], one.deviations[name]) for name in inquiry.predicted})
        for one in different[: inquiry.k]
    ]

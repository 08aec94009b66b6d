"""What was tried and what came of it, as the charts of parameters draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import griddata
from scipy.spatial import QhullError

from api.ui.live.job_view import JobView
from api.ui.parts.metrics import costs_and_metrics
from searchsvc.domain import Categorical, Parameter, Scalar
from searchsvc.service.results.columns import sample

MOST_DRAWN = 1000
"""Of more candidates the best are drawn, and every so-manieth of the others."""
_BEST_DRAWN = 300
_CELLS = 40


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """A candidate with a result."""

    number: int
    values: Mapping[str, Scalar]
    value: float
    """Of the metric that is looked at."""
    rank: float
    """0 for the best to 1 for the worst."""


def ranked_candidates(view: JobView, metric: str, *, minimised: bool) -> list[RankedCandidate]:
    """Every candidate that has ended with that metric, by number."""
    found = [
        (trial, value)
        for trial in view.trials.values()
        if trial.is_search_result and (value := costs_and_metrics(trial).get(metric)) is not None
    ]
    ordered = sorted(found, key=lambda pair: pair[1] if minimised else -pair[1])
    last = max(1, len(ordered) - 1)
    ranks = {trial.number: place / last for place, (trial, _) in enumerate(ordered)}
    return [
        RankedCandidate(trial.number, trial.values, value, ranks[trial.number])
        for trial, value in sorted(found, key=lambda pair: pair[0].number)
    ]


def thinned(found: Sequence[RankedCandidate]) -> list[RankedCandidate]:
    """Few enough to be drawn, the best of them last: over the others."""
    by_rank = sorted(found, key=lambda one: -one.rank)
    if len(by_rank) <= MOST_DRAWN:
        return by_rank
    others, best = by_rank[:-_BEST_DRAWN], by_rank[-_BEST_DRAWN:]
    return [*(others[place] for place in sample(len(others), MOST_DRAWN - _BEST_DRAWN)), *best]


def position(parameter: Parameter, value: Scalar) -> float:
    """Where a value lies in the range of its parameter, from 0 to 1; on the scale on which it is searched."""
    if isinstance(parameter, Categorical):
        return parameter.choices.index(value) / max(1, len(parameter.choices) - 1)
    low, high, number = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        low, high, number = np.log(low), np.log(high), np.log(number)
    return float((number - low) / (high - low)) if high > low else 0.5


def cells(parameter: Parameter) -> int:
    """Into how many cells its range is divided: one for each choice."""
    return len(parameter.choices) if isinstance(parameter, Categorical) else _CELLS


def surface(found: Sequence[RankedCandidate], x: Parameter, y: Parameter) -> NDArray[np.float64]:
    """(cells of y, cells of x) of values between those that were measured, linear; NaN where there are none around."""
    size = cells(y), cells(x)
    pairs = [one for one in found if x.name in one.values and y.name in one.values]
    empty: NDArray[np.float64] = np.full(size, np.nan)
    if len(pairs) < 3:
        return empty
    points = np.array([(position(x, one.values[x.name]), position(y, one.values[y.name])) for one in pairs])
    values = np.array([one.value for one in pairs])
    places, inverse, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    means = np.bincount(inverse.ravel(), values) / counts
    try:
        columns, rows = np.meshgrid(_centres(x), _centres(y))
        return np.asarray(griddata(places, means, (columns, rows), method="linear"), float)
    except QhullError:  # all on one line
        return empty


def _centres(parameter: Parameter) -> NDArray[np.float64]:
    count = cells(parameter)
    if isinstance(parameter, Categorical):
        return np.linspace(0.0, 1.0, count) if count > 1 else np.zeros(1)
    edges = np.linspace(0.0, 1.0, count + 1)
    return np.array([(one + other) / 2 for one, other in pairwise(edges)])

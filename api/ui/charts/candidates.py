"""Candidates with their results, prepared for the charts of parameters."""

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
from searchsvc.domain import Categorical, Parameter, Scalar, value_key
from searchsvc.service.results.columns import sample

MOST_DRAWN = 1000
"""Maximal number of drawn candidates. If there are more, the best and an even sample of the others are drawn."""
_BEST_DRAWN = 300
_CELLS = 40


@dataclass(frozen=True, slots=True)
class RankedCandidate:
    """A candidate with a result."""

    number: int
    values: Mapping[str, Scalar]
    value: float
    """Value of the chosen metric."""
    rank: float
    """0 for the best candidate, 1 for the worst."""


def ranked_candidates(view: JobView, metric: str, *, minimised: bool) -> list[RankedCandidate]:
    """Return every candidate that has ended with a value of the metric, by number."""
    measured = [
        (trial, value)
        for trial in view.trials.values()
        if trial.is_search_result and (value := costs_and_metrics(trial).get(metric)) is not None
    ]
    ordered = sorted(measured, key=lambda pair: pair[1] if minimised else -pair[1])
    last = max(1, len(ordered) - 1)
    ranks = {trial.number: place / last for place, (trial, _) in enumerate(ordered)}
    return [
        RankedCandidate(trial.number, trial.values, value, ranks[trial.number])
        for trial, value in sorted(measured, key=lambda pair: pair[0].number)
    ]


def thinned(candidates: Sequence[RankedCandidate]) -> list[RankedCandidate]:
    """Return at most `MOST_DRAWN` candidates, sorted from the worst to the best, so that the best are drawn on top."""
    by_rank = sorted(candidates, key=lambda one: -one.rank)
    if len(by_rank) <= MOST_DRAWN:
        return by_rank
    others, best = by_rank[:-_BEST_DRAWN], by_rank[-_BEST_DRAWN:]
    return [*(others[place] for place in sample(len(others), MOST_DRAWN - _BEST_DRAWN)), *best]


def position(parameter: Parameter, value: Scalar) -> float:
    """Return the position of a value in the range of its parameter, from 0 to 1, on the scale of the search."""
    if isinstance(parameter, Categorical):
        return place_of(parameter, value) / max(1, len(parameter.choices) - 1)
    assert isinstance(value, int | float)
    low, high, number = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        low, high, number = np.log(low), np.log(high), np.log(number)
    return float((number - low) / (high - low)) if high > low else 0.5


def place_of(parameter: Categorical, value: Scalar) -> int:
    """Return the index of a choice; true is not 1."""
    return next(place for place, choice in enumerate(parameter.choices) if value_key(choice) == value_key(value))


def cells(parameter: Parameter) -> int:
    """Return the number of cells into which the range of a parameter is divided: a cell per choice if categorical."""
    return len(parameter.choices) if isinstance(parameter, Categorical) else _CELLS


def surface(candidates: Sequence[RankedCandidate], x: Parameter, y: Parameter) -> NDArray[np.float64]:
    """Return the metric (cells of y, cells of x), linear between candidates; NaN outside their convex hull."""
    size = cells(y), cells(x)
    pairs = [one for one in candidates if x.name in one.values and y.name in one.values]
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

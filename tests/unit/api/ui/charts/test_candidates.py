"""Candidates with results, as charts of parameters draw them."""

from __future__ import annotations

import numpy as np
import pytest

from api.ui.charts.candidates import MOST_DRAWN, RankedCandidate, position, ranked_candidates, surface, thinned
from api.ui.live.job_view import JobReader
from searchsvc.domain import Parameter
from searchsvc.service.service import Service
from tests.support.pages import Running
from tests.unit.api.ui.charts.samples import COUNT, KIND, LR, candidates_of


def test_results_are_ranked_from_the_best_to_the_worst(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    candidates = ranked_candidates(view, "accuracy", minimised=False)
    best = max(candidates, key=lambda one: one.value)
    assert (best.rank, max(one.rank for one in candidates)) == (0.0, 1.0)
    assert min(ranked_candidates(view, "accuracy", minimised=True), key=lambda one: one.value).rank == 0.0
    assert 5 not in {one.number for one in candidates}  # it failed


def test_of_many_results_the_best_are_drawn_last() -> None:
    drawn = thinned(candidates_of(3 * MOST_DRAWN))
    assert len(drawn) == MOST_DRAWN
    assert drawn[-1].number == 3 * MOST_DRAWN - 1
    assert thinned(candidates_of(4))[0].number == 0


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [(LR, 0.001, 0.0), (LR, 1.0, 1.0), (LR, 10**-1.5, 0.5), (KIND, "b", 0.5), (COUNT, 2, 0.25)],
)
def test_values_lie_in_their_range_on_its_scale(parameter: Parameter, value: float | str, place: float) -> None:
    assert position(parameter, value) == pytest.approx(place)


def test_a_surface_is_linear_between_results_and_ends_where_they_end() -> None:
    corners = [(0.001, "a"), (1.0, "a"), (0.001, "c"), (1.0, "c"), (1.0, "c")]
    values = [0.0, 1.0, 0.0, 0.8, 1.2]
    candidates = [
        RankedCandidate(n, {"lr": lr, "kind": kind}, v, 0.0)
        for n, ((lr, kind), v) in enumerate(zip(corners, values, strict=True))
    ]
    heights = surface(candidates, LR, KIND)
    assert heights.shape == (3, 40)
    np.testing.assert_allclose(heights[0], (np.arange(40) + 0.5) / 40, atol=1e-9)
    assert np.isnan(surface(candidates[:2], LR, KIND)).all()
    assert np.isnan(surface([candidates[0], candidates[1], candidates[1]], LR, KIND)).all()

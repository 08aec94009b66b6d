"""Charts of parameters."""

from __future__ import annotations

from api.ui.charts import parameters as charts_parameters
from api.ui.charts.candidates import RankedCandidate
from tests.unit.api.ui.charts.samples import KIND, LR, candidates_of


def test_every_candidate_has_a_line_and_what_it_lacks_is_left_out() -> None:
    candidates = [*candidates_of(3), RankedCandidate(3, {"lr": 0.5}, 9.0, 0.0)]
    lines = charts_parameters.parallel(candidates, [LR, KIND], "accuracy")["series"][0]["data"]
    assert {one["name"] for one in lines} == {
        f"trial #{n}: accuracy {v:.4f}" for n, v in enumerate((0.0, 1.0, 2.0, 9.0))
    }
    assert next(one for one in lines if one["name"].startswith("trial #3"))["value"] == [0.5, None, 9.0, 0.0]


def test_slice_rank_and_contour_know_the_trial_of_each_point() -> None:
    candidates = candidates_of(12)
    for options in (
        charts_parameters.slice_of(candidates, LR, "accuracy"),
        charts_parameters.rank(candidates, LR, KIND, "accuracy"),
        charts_parameters.contour(candidates, LR, KIND, "accuracy", minimised=False),
    ):
        points = options["series"][0]
        assert points["dimensions"][-1] == "trial"
        assert {point[-1] for point in points["data"]} == set(range(12))
    assert len(options["series"]) == 2
    assert all(len(cell) == 3 for cell in options["series"][1]["data"])

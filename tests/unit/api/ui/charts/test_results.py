"""Charts of the results of a job."""

from __future__ import annotations

from api.ui.charts import results as charts
from api.ui.live.job_view import JobReader
from searchsvc.service.service import Service
from tests.support.pages import Running


def test_charts_draw_the_limit_and_leave_out_what_breaks_it(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    feasible, broken, front = charts.front(view, "flops")["series"]
    assert front["markLine"]["data"] == [{"xAxis": 5e5}]
    assert {point[0] <= 5e5 for point in feasible["data"] + front["data"]} == {True}
    assert {point[0] > 5e5 for point in broken["data"]} == {True}
    assert {point[2] for point in front["data"]} == view.front
    best = [value for _, value in charts.best_so_far(view)["series"][1]["data"]]
    assert best == sorted(best)


def test_many_curves_share_their_points(service: Service, search: Running) -> None:
    view = JobReader(service, search.id).read(None)
    long = tuple((step, step / 9000) for step in range(9000))
    drawn = dict.fromkeys(view.trials, long)
    series = charts.curves(view, drawn)["series"]
    points = [point for one in series for point in one["data"] if point[0] is not None]
    assert len(points) <= 30_000
    assert {point[0] for point in points} >= {0, 8999}

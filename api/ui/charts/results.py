"""Charts of results, as ECharts options in the colours of `theme`. Plain functions of a job's view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.ui.charts import plots
from api.ui.charts.plots import Options
from api.ui.live.curves import Curve
from api.ui.live.job_view import MOST_POINTS, JobView
from api.ui.parts.metrics import limit_of
from api.ui.parts.theme import INK, SERIES
from searchsvc.domain import JobSpec, Measurement
from searchsvc.service.results.columns import sample


def best_so_far(view: JobView) -> Options:
    """Return every result in order of completion, and the best feasible value up to each."""
    spec, results = view.spec, view.results
    first = spec.objectives[0]
    values, places = results.column(first.metric), np.arange(1, len(results) + 1)
    counted = results.within(spec.constraints) & np.isfinite(values)
    best = np.maximum.accumulate(np.where(counted, first.sign * values, -np.inf))
    steps = np.flatnonzero(best > np.concatenate(([-np.inf], best[:-1])))
    steps = np.union1d(steps, [len(best) - 1]) if steps.size else steps
    drawn = sample(len(results), MOST_POINTS)
    return plots.plane(
        plots.axis("results in order of completion", whole=True),
        plots.axis(first.metric),
        [
            plots.scatter("result", _points(places[drawn], values[drawn], results.numbers[drawn]), SERIES["faint"], 5),
            plots.line("best so far", _points(places[steps], first.sign * best[steps]), SERIES["main"], step="end"),
        ],
    )


def front(view: JobView, cost: str) -> Options:
    """Return the first objective against a cost: the Pareto front, other results, infeasible results and the limits."""
    spec, results = view.spec, view.results
    costs, values = results.column(cost), results.column(spec.objectives[0].metric)
    is_known, feasible = np.isfinite(costs) & np.isfinite(values), results.within(spec.constraints)
    is_on_front = np.isin(results.numbers, list(view.front))

    def points(group: NDArray[np.bool_], most: int = MOST_POINTS) -> list[list[float]]:
        index = np.flatnonzero(is_known & group)
        index = index[sample(len(index), most)]
        return _points(costs[index], values[index], results.numbers[index])

    on_front = plots.scatter("Pareto front", sorted(points(is_on_front)), SERIES["best"], 10, symbol="diamond")
    limit = limit_of(spec, cost)
    ends = [one for one in (limit.min, limit.max) if one is not None] if limit else []
    on_front["markLine"] = {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": SERIES["limit"], "type": "dashed", "width": 1.5},
        "label": {"formatter": "limit", "color": INK},
        "data": [{"xAxis": one} for one in ends],
    }
    return plots.plane(
        plots.axis(cost, reach=ends),
        plots.axis(spec.objectives[0].metric),
        [
            plots.scatter("within the limits", points(feasible & ~is_on_front), SERIES["main"], 6),
            plots.scatter(
                "outside a limit", points(~feasible & ~is_on_front), SERIES["faint"], 6, symbol="emptyCircle"
            ),
            on_front,
        ],
    )


def _points(*columns: NDArray[Any]) -> list[list[float]]:
    """Convert columns to points for ECharts, rounded to six digits, which is more than a screen shows."""
    return [
        [value if isinstance(value, int) else float(f"{value:.6g}") for value in point]
        for point in zip(*(column.tolist() for column in columns), strict=True)
    ]


def curves(view: JobView, drawn: Mapping[int, Curve]) -> Options:
    """Return the first objective by epoch, a line per trial; curves on the front and of running trials stand out."""
    groups: dict[str, list[list[float | None]]] = {"ended": [], "running": [], "front": []}
    points = max(_FEWEST_POINTS, _CURVE_POINTS // max(1, len(drawn)))
    for number, curve in sorted(drawn.items()):
        trial = view.trials.get(number)
        if trial is None or not trial.is_candidate:
            continue
        group = "front" if number in view.front else "ended" if trial.state.is_final else "running"
        groups[group] += _segment(curve, number, points)
    many = len(drawn) > _MANY_CURVES
    highlight = plots.line("highlight", [], SERIES["other"], width=4, dots=True) | {
        "id": "highlight",
        "z": 5,
        "symbolSize": 8,
    }
    plane = plots.plane(
        plots.axis("epoch", whole=True),
        plots.axis(view.spec.objectives[0].metric),
        [
            plots.line("ended", groups["ended"], SERIES["faint"], width=0.6 if many else 1),
            plots.line("running", groups["running"], SERIES["main"], width=1.5, dots=not many),
            plots.line("on the Pareto front", groups["front"], SERIES["best"], width=2.5, dots=not many),
            highlight,
        ],
    )
    plane["legend"]["data"] = ["ended", "running", "on the Pareto front"]
    plane["tooltip"]["triggerOn"] = "none"  # page.js shows it along the whole curve
    return plane


_MANY_CURVES = 100
_CURVE_POINTS = 30_000
"""Maximal number of points of all curves together, shared evenly between the curves."""
_FEWEST_POINTS = 8


def trial_curve(measurements: Sequence[Measurement], spec: JobSpec) -> Options:
    """Return the first objective of a trial by epoch, or the reward of a supernet by step."""
    metric = spec.objectives[0].metric
    if measurements and metric not in measurements[-1].metrics:
        metric = "reward"
    points = [[one.step, one.metrics[metric]] for one in measurements if metric in one.metrics]
    return plots.plane(
        plots.axis("epoch", whole=True), plots.axis(metric), [plots.line(metric, points, SERIES["main"], dots=True)]
    )


def _segment(curve: Curve, number: int, most: int) -> list[list[float | None]]:
    """Return evenly chosen points of a curve and a gap. Many curves share a series, which draws faster."""
    chosen = (curve[place] for place in sample(len(curve), most))
    points: list[list[float | None]] = [[step, float(f"{value:.5g}"), number] for step, value in chosen]
    return [*points, [None, None, None]]

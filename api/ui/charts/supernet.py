"""Charts of a supernet: probabilities of options and its metrics, as options of ECharts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from api import text
from api.ui.charts.plots import Options, axis, line, plane
from api.ui.parts.theme import HAIR, HEAT, INK, SERIES
from searchsvc.service.results.distributions import Distributions, Learning


def certainty(learning: Learning) -> Options:
    """Return the probability of the most likely option of every parameter, by step."""
    names = list(learning.parameters)
    data = [
        [column, row, round(max(one.probabilities), 4)]
        for row, name in enumerate(names)
        for column, one in enumerate(learning.parameters[name])
    ]
    return _map(learning.steps, names, data)


def options_over_time(learning: Learning, parameter: str) -> Options:
    """Return the probability of each option of a parameter, by step."""
    by_step = learning.parameters[parameter]
    data = [
        [column, row, round(probability, 4)]
        for column, one in enumerate(by_step)
        for row, probability in enumerate(one.probabilities)
    ]
    return _map(learning.steps, text.labels(by_step[0].options), data)


def _map(steps: Sequence[int], rows: Sequence[str], data: list[list[float]]) -> Options:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 8, "bottom": 76, "containLabel": True},
        "tooltip": {"confine": True, ":formatter": f"p => heatmapTooltip(p, {json.dumps(list(rows))})"},
        "xAxis": {
            "type": "category",
            "data": list(steps),
            "name": "step",
            "nameLocation": "middle",
            "nameGap": 24,
            "axisLabel": {"color": INK, "hideOverlap": True},
            "nameTextStyle": {"color": INK},
        },
        "yAxis": {"type": "category", "inverse": True, "data": list(rows), "axisLabel": {"color": INK}},
        "visualMap": {
            "min": 0,
            "max": 1,
            "inRange": {"color": list(HEAT)},
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "itemHeight": 110,
            "itemWidth": 10,
            "text": ["100 %", "0 %"],
            "textStyle": {"color": INK},
        },
        "series": [{"type": "heatmap", "data": data, "progressive": 0}],
    }


def over_steps(learning: Learning, metric: str) -> Options:
    """Return a metric of the supernet itself, by step."""
    points = [
        [step, value] for step, value in zip(learning.steps, learning.metrics[metric], strict=True) if value is not None
    ]
    return plane(axis("step", whole=True), axis(metric), [line(metric, points, SERIES["main"])])


def distributions(distributions: Distributions) -> Options:
    """Return a heat map of the probability of each option of each parameter, options in the order of their range."""
    cells, widest = [], max((len(distribution.options) for distribution in distributions.parameters), default=1)
    for place, distribution in enumerate(distributions.parameters):
        for index, probability in enumerate(distribution.probabilities):
            cells.append(
                {
                    "value": [index, place, probability],
                    "name": f"{distribution.parameter} = {_option(distribution.options[index])}",
                }
            )
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 8, "bottom": 44, "containLabel": True},
        "tooltip": {
            "confine": True,
            ":formatter": "p => echartsText(p.name) + '<br>' + (100 * p.value[2]).toFixed(1) + ' %'",
        },
        "xAxis": {
            "type": "category",
            "data": [str(index + 1) for index in range(widest)],
            "name": "option",
            "nameLocation": "middle",
            "nameGap": 24,
            "axisLabel": {"color": INK},
            "nameTextStyle": {"color": INK},
        },
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": [distribution.parameter for distribution in distributions.parameters],
            "axisLabel": {"color": INK},
        },
        "visualMap": {"show": False, "min": 0, "max": 1, "inRange": {"color": list(HEAT)}},
        "series": [{"type": "heatmap", "data": cells, "itemStyle": {"borderColor": HAIR, "borderWidth": 1}}],
    }


def _option(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

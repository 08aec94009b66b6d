"""Charts of parameters and results: parallel coordinates, importance, slice, contour and rank."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from api import text
from api.ui.charts.candidates import RankedCandidate, cells, place_of, surface, thinned
from api.ui.charts.plots import Options, axis
from api.ui.parts.theme import HAIR, INK, RANKS, SERIES
from searchsvc.domain import Categorical, Parameter
from searchsvc.service.results.importance import Importance

MOST_AXES = 10
"""Maximal number of axes in parallel coordinates."""
_WORDS = "p => candidateTooltip(p)"


def parallel(candidates: Sequence[RankedCandidate], parameters: Sequence[Parameter], metric: str) -> Options:
    """Return parallel coordinates: a line per candidate through its values, with the metric on the last axis."""
    axes = [_parallel_axis(place, one) for place, one in enumerate(parameters)]
    last = {"dim": len(axes), "name": metric, "scale": True, **_WRITTEN}
    lines = [
        {
            "value": [*(_value(parameter, one) for parameter in parameters), one.value, one.rank],
            "name": f"trial #{one.number}: {metric} {text.quantity(metric, one.value)}",
        }
        for one in thinned(candidates)
    ]
    return {
        "animation": False,
        "tooltip": {"confine": True, ":formatter": "p => echartsText(p.name)"},
        "visualMap": _colours(len(axes) + 1),
        "parallel": {"left": 40, "right": 56, "top": 40, "bottom": 52, "parallelAxisDefault": {"nameGap": 14}},
        "parallelAxis": [*axes, last],
        "series": [
            {
                "type": "parallel",
                "data": lines,
                "lineStyle": {"width": 1.2, "opacity": 0.55},
                "inactiveOpacity": 0.03,
                "emphasis": {"lineStyle": {"width": 3, "opacity": 1}},
                "progressive": 400,
            }
        ],
    }


_WRITTEN: Mapping[str, Any] = MappingProxyType(
    {
        "nameTextStyle": {"color": INK, "fontSize": 12},
        "axisLabel": {"color": INK, ":formatter": "value => shortNumber(value)"},
        "axisLine": {"lineStyle": {"color": INK}},
    }
)


def _parallel_axis(place: int, parameter: Parameter) -> Options:
    written = {"dim": place, "name": parameter.name, **_WRITTEN}
    if isinstance(parameter, Categorical):
        return {**written, "type": "category", "data": text.labels(parameter.choices), "axisLabel": {"color": INK}}
    return {**written, "type": "log" if parameter.log else "value", "min": parameter.low, "max": parameter.high}


def _value(parameter: Parameter, candidate: RankedCandidate) -> float | str | None:
    """Return the value of a parameter as its axis takes it, or None if the candidate lacks the parameter."""
    if parameter.name not in candidate.values:
        return None
    value = candidate.values[parameter.name]
    if isinstance(parameter, Categorical):
        return text.labels(parameter.choices)[place_of(parameter, value)]
    assert isinstance(value, int | float)
    return float(value)


def _colours(dimension: int) -> Options:
    """Return a colour scale from the best to the worst, with its legend."""
    return {
        "type": "continuous",
        "dimension": dimension,
        "min": 0,
        "max": 1,
        "inRange": {"color": list(RANKS)},
        "orient": "horizontal",
        "left": "center",
        "bottom": 0,
        "itemHeight": 110,
        "itemWidth": 10,
        "text": ["worst", "best"],
        "textStyle": {"color": INK},
        "inverse": False,
        "calculable": False,
    }


def importances(importance: Importance) -> Options:
    """Return a bar per parameter, the most important first."""
    names = [name for name, _ in importance.shares]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 56, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {
            "confine": True,
            ":formatter": "p => echartsText(p.name) + '<br>' + (100 * p.value).toFixed(1) + ' %'",
        },
        "xAxis": {"type": "value", "show": False, "min": 0},
        "yAxis": {"type": "category", "inverse": True, "data": names, "axisLabel": {"color": INK}},
        "series": [
            {
                "type": "bar",
                "data": [share for _, share in importance.shares],
                "itemStyle": {"color": SERIES["main"]},
                "barMaxWidth": 16,
                "label": {
                    "show": True,
                    "position": "right",
                    "color": INK,
                    ":formatter": "p => (100 * p.value).toFixed(1) + ' %'",
                },
            }
        ],
    }


def slice_of(candidates: Sequence[RankedCandidate], parameter: Parameter, metric: str) -> Options:
    """Return the metric over the values of a parameter, for all values of the others."""
    points = _points(candidates, [parameter], lambda one: [one.value, one.rank])
    names = [parameter.name, metric, "rank", "trial"]
    return _square(_axis(parameter), axis(metric), points, names)


def rank(candidates: Sequence[RankedCandidate], x: Parameter, y: Parameter, metric: str) -> Options:
    """Return the candidates over two parameters, coloured by rank."""
    points = _points(candidates, [x, y], lambda one: [one.rank, one.value])
    return _square(_axis(x), _axis(y), points, [x.name, y.name, "rank", metric, "trial"])


def contour(
    candidates: Sequence[RankedCandidate], x: Parameter, y: Parameter, metric: str, *, minimised: bool
) -> Options:
    """Return the candidates over two parameters on a map of the metric, interpolated linearly between candidates."""
    options = rank(candidates, x, y, metric)
    heights = surface(thinned(candidates), x, y)
    there = np.argwhere(np.isfinite(heights))
    options["xAxis"] = [options["xAxis"], _hidden(cells(x))]
    options["yAxis"] = [options["yAxis"], _hidden(cells(y))]
    points = options["series"][0]
    points |= {"z": 3, "itemStyle": {"color": "transparent", "borderColor": INK, "borderWidth": 1}, "symbolSize": 5}
    if not len(there):
        options["visualMap"] = []
        return options
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    colours = RANKS if minimised else RANKS[::-1]
    options["visualMap"] = {
        **_colours(2),
        "min": low,
        "max": high if high > low else low + 1e-9,
        "inRange": {"color": list(colours)},
        "text": [text.quantity(metric, high), text.quantity(metric, low)],
        "seriesIndex": 1,
    }
    options["series"] = [
        points,
        {
            "type": "heatmap",
            "xAxisIndex": 1,
            "yAxisIndex": 1,
            "data": [[int(column), int(row), float(f"{heights[row, column]:.5g}")] for row, column in there],
            "itemStyle": {"opacity": 0.75},
            "tooltip": {":formatter": f"p => echartsText({json.dumps(metric)}) + ' about ' + shortNumber(p.value[2])"},
        },
    ]
    return options


def _points(
    candidates: Sequence[RankedCandidate], of: Sequence[Parameter], rest: Callable[[RankedCandidate], list[float]]
) -> list[list[Any]]:
    """Return a point per candidate: values of the parameters `of`, then `rest`, then the number of the trial."""
    return [
        [*(_value(parameter, one) for parameter in of), *rest(one), one.number]
        for one in thinned(candidates)
        if all(parameter.name in one.values for parameter in of)
    ]


def _square(x: Options, y: Options, points: list[list[Any]], names: list[str]) -> Options:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 20, "top": 28, "bottom": 76, "containLabel": True},
        "tooltip": {"confine": True, ":formatter": _WORDS},
        "visualMap": _colours(2),
        "xAxis": x | {"nameLocation": "middle", "nameGap": 26},
        "yAxis": y,
        "series": [{"type": "scatter", "data": points, "symbolSize": 7, "dimensions": names}],
    }


def _axis(parameter: Parameter) -> Options:
    """Return an axis over the range of a parameter, on its scale."""
    if isinstance(parameter, Categorical):
        return {
            "type": "category",
            "name": parameter.name,
            "data": text.labels(parameter.choices),
            "axisLabel": {"color": INK},
            "nameTextStyle": {"color": INK},
            "splitLine": {"show": True, "lineStyle": {"color": HAIR}},
        }
    options = axis(parameter.name)
    return options | {"type": "log" if parameter.log else "value", "min": parameter.low, "max": parameter.high}


def _hidden(count: int) -> Options:
    """Return an invisible axis for the cells of a map."""
    return {"type": "category", "data": list(range(count)), "show": False, "position": "top"}

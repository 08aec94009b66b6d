"""Charts of what was tried and what came of it: parallel coordinates, importance, slice, contour, rank."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from api import text
from api.ui.charts.candidates import RankedCandidate, cells, surface, thinned
from api.ui.charts.plots import Options, axis
from api.ui.parts.theme import HAIR, INK, RANKS, SERIES
from searchsvc.domain import Categorical, Parameter
from searchsvc.service.results.importance import Importance

MOST_AXES = 10
"""Of parallel coordinates."""
_WORDS = "p => candidateTooltip(p)"


def parallel(found: Sequence[RankedCandidate], parameters: Sequence[Parameter], metric: str) -> Options:
    """A line per candidate through its values; the last axis is what came of it."""
    axes = [_parallel_axis(place, one) for place, one in enumerate(parameters)]
    last = {"dim": len(axes), "name": metric, "scale": True, **_WRITTEN}
    lines = [
        {
            "value": [*(_value(parameter, one) for parameter in parameters), one.value, one.rank],
            "name": f"trial #{one.number}: {metric} {text.quantity(metric, one.value)}",
        }
        for one in thinned(found)
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
        words = [text.value(one) for one in parameter.choices]
        return {**written, "type": "category", "data": words, "axisLabel": {"color": INK}}
    return {**written, "type": "log" if parameter.log else "value", "min": parameter.low, "max": parameter.high}


def _value(parameter: Parameter, one: RankedCandidate) -> float | str | None:
    """As an axis of it takes a value; None where the candidate has none."""
    value = one.values.get(parameter.name)
    if value is None:
        return None
    return text.value(value) if isinstance(parameter, Categorical) else float(value)


def _colours(dimension: int) -> Options:
    """From the best to the worst; a scale to read it by."""
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


def importances(found: Importance) -> Options:
    """A bar per parameter, the most important first."""
    names = [name for name, _ in found.shares]
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
                "data": [share for _, share in found.shares],
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


def slice_of(found: Sequence[RankedCandidate], parameter: Parameter, metric: str) -> Options:
    """What came of the values of one parameter, whatever the others were."""
    points = _points(found, [parameter], lambda one: [one.value, one.rank])
    names = [parameter.name, metric, "rank", "trial"]
    return _square(_axis(parameter), axis(metric), points, names)


def rank(found: Sequence[RankedCandidate], x: Parameter, y: Parameter, metric: str) -> Options:
    """Where in the ranges of two parameters the best and the worst lie."""
    points = _points(found, [x, y], lambda one: [one.rank, one.value])
    return _square(_axis(x), _axis(y), points, [x.name, y.name, "rank", metric, "trial"])


def contour(found: Sequence[RankedCandidate], x: Parameter, y: Parameter, metric: str, *, minimised: bool) -> Options:
    """The same, with what lies between the points: the metric, linear between those around."""
    options = rank(found, x, y, metric)
    heights = surface(thinned(found), x, y)
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
    found: Sequence[RankedCandidate], of: Sequence[Parameter], rest: Callable[[RankedCandidate], list[float]]
) -> list[list[Any]]:
    """Values of these parameters, then the rest, then the number of the trial."""
    return [
        [*(_value(parameter, one) for parameter in of), *rest(one), one.number]
        for one in thinned(found)
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
    """Over the range of a parameter, on its scale."""
    if isinstance(parameter, Categorical):
        return {
            "type": "category",
            "name": parameter.name,
            "data": [text.value(one) for one in parameter.choices],
            "axisLabel": {"color": INK},
            "nameTextStyle": {"color": INK},
            "splitLine": {"show": True, "lineStyle": {"color": HAIR}},
        }
    found = axis(parameter.name)
    return found | {"type": "log" if parameter.log else "value", "min": parameter.low, "max": parameter.high}


def _hidden(count: int) -> Options:
    """For the cells of a map."""
    return {"type": "category", "data": list(range(count)), "show": False, "position": "top"}

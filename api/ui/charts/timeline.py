"""Charts over time: attempts by worker, what a supernet learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from api import text
from api.ui.charts.plots import LEGEND, Options, axis, line, plane
from api.ui.parts import event_text
from api.ui.parts.theme import HAIR, HEAT, INK, SERIES, STATES
from searchsvc.domain import Attempt, TrialState
from searchsvc.service.results.distributions import Learning

MOST_WORKERS = 24
"""Rows of the timeline: those that worked last."""
_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        TrialState.SUCCEEDED: SERIES["good"],
        TrialState.STOPPED: SERIES["other"],
        TrialState.RUNNING: SERIES["main"],
        TrialState.FAILED: SERIES["limit"],
        TrialState.CANCELLED: SERIES["faint"],
    }
)
_MILLISECONDS = 1000


def timeline(attempts: Sequence[tuple[int, Attempt]], now: float) -> Options:
    """A bar per attempt, from its start to its end, a row per worker; what still runs ends `now` (Unix seconds)."""
    last: dict[str, float] = {}
    for _, one in attempts:
        last[_worker(one)] = max(last.get(_worker(one), 0.0), one.finished_at or now)
    workers = sorted(sorted(last, key=lambda name: -last[name])[:MOST_WORKERS])
    rows = {name: place for place, name in enumerate(workers)}
    series = [
        {
            "type": "custom",
            "name": STATES[state][2],
            ":renderItem": "(params, api) => attemptBar(params, api)",
            "itemStyle": {"color": colour},
            "encode": {"x": [1, 2], "y": 0},
            "data": [
                [
                    rows[_worker(one)],
                    round(one.started_at * _MILLISECONDS),
                    round((one.finished_at or now) * _MILLISECONDS),
                    number,
                    one.number,
                    str(one.failure or ""),
                ]
                for number, one in attempts
                if one.state == state and _worker(one) in rows
            ],
        }
        for state, colour in _COLOURS.items()
    ]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 32, "top": 34, "bottom": 30, "containLabel": True},
        "legend": dict(LEGEND),
        "dataZoom": {
            "type": "slider",
            "height": 16,
            "bottom": 4,
            "filterMode": "weakFilter",
            "textStyle": {"color": INK},
        },
        "tooltip": {"confine": True, ":formatter": "p => attemptWords(p)"},
        "xAxis": {
            "type": "time",
            "axisLabel": {"color": INK, "hideOverlap": True},
            "splitLine": {"show": True, "lineStyle": {"color": HAIR}},
        },
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": workers,
            "axisLabel": {"color": INK, "width": 150, "overflow": "truncate"},
            "axisTick": {"show": False},
        },
        "series": [one for one in series if one["data"]],
    }


def _worker(attempt: Attempt) -> str:
    """Node and process."""
    node = event_text.node_of(attempt) or "?"
    return f"{node} / {attempt.pid}" if attempt.pid else node


def certainty(found: Learning) -> Options:
    """How sure a supernet is of each parameter: the probability of the likeliest option, by step."""
    names = list(found.parameters)
    data = [
        [column, row, round(max(one.probabilities), 4)]
        for row, name in enumerate(names)
        for column, one in enumerate(found.parameters[name])
    ]
    return _map(found.steps, names, data)


def options_over_time(found: Learning, parameter: str) -> Options:
    """The probability of each option of a parameter, by step."""
    by_step = found.parameters[parameter]
    data = [
        [column, row, round(probability, 4)]
        for column, one in enumerate(by_step)
        for row, probability in enumerate(one.probabilities)
    ]
    return _map(found.steps, [text.value(option) for option in by_step[0].options], data)


def _map(steps: Sequence[int], rows: Sequence[str], data: list[list[float]]) -> Options:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 8, "bottom": 76, "containLabel": True},
        "tooltip": {"confine": True, ":formatter": f"p => mapWords(p, {json.dumps(list(rows))})"},
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


def over_steps(found: Learning, metric: str) -> Options:
    """A metric of the supernet itself, by step."""
    points = [
        [step, value] for step, value in zip(found.steps, found.metrics[metric], strict=True) if value is not None
    ]
    return plane(axis("step", whole=True), axis(metric), [line(metric, points, SERIES["main"])])

"""Charts over time: attempts by worker, what a supernet learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from api.ui.charts.plots import LEGEND, Options
from api.ui.parts import event_text
from api.ui.parts.theme import HAIR, INK, SERIES, STATES
from searchsvc.domain import Attempt, TrialState

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
        "tooltip": {"confine": True, ":formatter": "p => attemptTooltip(p)"},
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
    node = event_text.node_address(attempt) or "?"
    return f"{node} / {attempt.pid}" if attempt.pid else node

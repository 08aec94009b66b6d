"""The timeline chart: attempts by worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from api.ui.charts.plots import LEGEND, Options
from api.ui.parts import event_text
from api.ui.parts.theme import HAIR, INK, SERIES, STATES
from searchsvc.domain import Attempt, TrialState

MOST_WORKERS = 24
"""Maximal number of rows: the workers that were active last."""
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
    """Return a bar per attempt from start to end, a row per worker; running attempts end `now` (Unix seconds)."""
    last: dict[str, float] = {}
    for _, attempt in attempts:
        last[_worker(attempt)] = max(last.get(_worker(attempt), 0.0), attempt.finished_at or now)
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
                    rows[_worker(attempt)],
                    round(attempt.started_at * _MILLISECONDS),
                    round((attempt.finished_at or now) * _MILLISECONDS),
                    number,
                    attempt.number,
                    str(attempt.failure or ""),
                ]
                for number, attempt in attempts
                if attempt.state == state and _worker(attempt) in rows
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
        "series": [attempt for attempt in series if attempt["data"]],
    }


def _worker(attempt: Attempt) -> str:
    """Return the node and process of an attempt."""
    node = event_text.node_address(attempt) or "?"
    return f"{node} / {attempt.pid}" if attempt.pid else node

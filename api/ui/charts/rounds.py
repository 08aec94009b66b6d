"""Charts of the rounds of an algorithm: how well its predictors predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.ui.charts import plots
from api.ui.charts.plots import Options
from api.ui.parts.theme import INK, SERIES
from searchsvc.domain import Round


def quality(rounds: Sequence[Round]) -> Options | None:
    """Rank correlation of predicted and measured values by round, with its 90 % interval; None: nothing was said."""
    metrics = list(dict.fromkeys(name for one in rounds for name in _qualities(one)))
    series: list[Options] = []
    for metric, colour in zip(metrics, (SERIES["main"], SERIES["best"], SERIES["other"], SERIES["good"]), strict=False):
        points, bars = [], []
        for one in rounds:
            found = _qualities(one).get(metric, {})
            if found.get("rank_correlation") is not None:
                points.append([one.number, found["rank_correlation"]])
                if found.get("low") is not None:
                    bars += [[one.number, found["low"]], [one.number, found["high"]], [None, None]]
        series += [
            plots.line(metric, points, colour, dots=True),
            {**plots.line(metric, bars, colour, width=1), "tooltip": {"show": False}},
        ]
    if not any(one["data"] for one in series):
        return None
    plane = plots.plane(plots.axis("round", whole=True), plots.axis("rank correlation"), series)
    plane["yAxis"] |= {"max": 1.0}
    return plane


def predictions(rounds: Sequence[Round], metric: str) -> Options | None:
    """What was measured against what was predicted before; None: nothing was predicted, or it was not kept."""
    said = [_qualities(one).get(metric, {}).get("predictions", []) for one in rounds]
    points = [found for found in said if found]
    if not points:
        return None
    *earlier, latest = points
    values = [value for found in points for pair in found for value in pair]
    ends = [[one, one] for one in (min(values), max(values))]
    equal = plots.line("as predicted", ends, INK, width=1) | {"tooltip": {"show": False}}
    return plots.plane(
        plots.axis(f"predicted {metric}"),
        plots.axis(f"measured {metric}"),
        [
            plots.scatter("earlier rounds", [pair for found in earlier for pair in found], SERIES["faint"], 6),
            plots.scatter("last round", list(latest), SERIES["main"], 8, symbol="diamond"),
            equal,
        ],
    )


def _qualities(one: Round) -> Mapping[str, Mapping[str, Any]]:
    said = one.data.get("quality")
    return {name: found for name, found in said.items() if isinstance(found, Mapping)} if said else {}

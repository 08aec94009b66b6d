"""Charts of the rounds of an algorithm: how well its predictors predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.ui.charts import plots
from api.ui.charts.plots import Options
from api.ui.parts.theme import INK, SERIES
from searchsvc.domain import Round


def quality(rounds: Sequence[Round]) -> Options | None:
    """Return the rank correlation of predicted and measured values by round, with 90 % intervals; None if unknown."""
    metrics = list(dict.fromkeys(name for report in rounds for name in _qualities(report)))
    series: list[Options] = []
    for metric, colour in zip(metrics, (SERIES["main"], SERIES["best"], SERIES["other"], SERIES["good"]), strict=False):
        points, bars = [], []
        for report in rounds:
            metric_quality = _qualities(report).get(metric, {})
            if metric_quality.get("rank_correlation") is not None:
                points.append([report.number, metric_quality["rank_correlation"]])
                if metric_quality.get("low") is not None:
                    bars += [
                        [report.number, metric_quality["low"]],
                        [report.number, metric_quality["high"]],
                        [None, None],
                    ]
        series += [
            plots.line(metric, points, colour, dots=True),
            {**plots.line(metric, bars, colour, width=1), "tooltip": {"show": False}},
        ]
    if not any(line["data"] for line in series):
        return None
    plane = plots.plane(plots.axis("round", whole=True), plots.axis("rank correlation"), series)
    plane["yAxis"] |= {"max": 1.0}
    return plane


def predictions(rounds: Sequence[Round], metric: str) -> Options | None:
    """Return measured values against earlier predictions, or None if no predictions are stored."""
    pairs_by_round = [_qualities(report).get(metric, {}).get("predictions", []) for report in rounds]
    points = [pairs for pairs in pairs_by_round if pairs]
    if not points:
        return None
    *earlier, latest = points
    values = [value for pairs in points for pair in pairs for value in pair]
    ends = [[value, value] for value in (min(values), max(values))]
    equal = plots.line("as predicted", ends, INK, width=1) | {"tooltip": {"show": False}}
    return plots.plane(
        plots.axis(f"predicted {metric}"),
        plots.axis(f"measured {metric}"),
        [
            plots.scatter("earlier rounds", [pair for pairs in earlier for pair in pairs], SERIES["faint"], 6),
            plots.scatter("last round", list(latest), SERIES["main"], 8, symbol="diamond"),
            equal,
        ],
    )


def _qualities(report: Round) -> Mapping[str, Mapping[str, Any]]:
    qualities = report.data.get("quality") or {}
    return {name: quality for name, quality in qualities.items() if isinstance(quality, Mapping)}

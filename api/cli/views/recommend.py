"""Recommended candidates with their predictions and costs, as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document, limit, pairs


def advice_lines(advice: Document) -> list[Table | str]:
    """Return a table of the recommended candidates' predictions and costs, then the values of each candidate."""
    limits = ", ".join(map(limit, advice["constraints"])) or "none"
    head = pairs(
        [
            ("learned from", f"{advice['learned_from']} trials, after {advice['epoch']} epochs each"),
            ("limits", limits),
            ("as predicted", ", ".join(map(limit, advice["outcome"]))),
        ]
    )
    if not advice["items"]:
        return [head, "", "Nothing is left to recommend."]
    first = advice["items"][0]
    names, costs = list(first["predicted"]), list(first["costs"])
    rows = [
        (
            str(place),
            *(plus_minus(one["predicted"][name]["mean"], one["predicted"][name]["deviation"]) for name in names),
            *(text.quantity(name, one["costs"][name]) for name in costs),
            _measured(one, names),
        )
        for place, one in enumerate(advice["items"], 1)
    ]
    columns = ("", *(f"{name}, predicted" for name in names), *costs, "measured")
    made_of = [
        (f"{place} {half}", text.values(one[half]))
        for place, one in enumerate(advice["items"], 1)
        for half in ("architecture", "recipe")
        if one[half]
    ]
    return [head, "", table(columns, rows, right=columns[:-1]), "", pairs(made_of)]


def _measured(candidate: Document, names: list[str]) -> str:
    if candidate["trial"] is None:
        return ""
    reached = "  ".join(text.quantity(name, (candidate["measured"] or {}).get(name)) for name in names)
    return f"#{candidate['trial']}  {reached}"


def plus_minus(mean: float, deviation: Any) -> str:
    """Return `0.9721 ± 0.0040`, or the mean alone if there is no deviation."""
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"

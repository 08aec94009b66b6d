"""Recommendations, transfers of recipes and gains as tables and lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document, limit, pairs

if TYPE_CHECKING:
    from rich.table import Table


def advice_lines(advice: Document) -> list[Table | str]:
    """What is recommended: a table of numbers, then what each candidate is made of."""
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
            *(_plus_minus(one["predicted"][name]["mean"], one["predicted"][name]["deviation"]) for name in names),
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


def transfer_lines(report: Document) -> list[Table | str]:
    """What each network reached with each recipe, and in what the recipes differ."""
    objective = report["objective"]
    columns = ["default recipe", *(f"recipe {place}" for place in range(1, len(report["recipes"])))]
    measured = [(network, *map(_reached, rows)) for network, rows in report["networks"].items()]
    differing = [(name, *(text.value(one.get(name)) for one in report["recipes"])) for name in report["differing"]]
    return [
        f"{objective['metric']} ({objective['goal']}); in brackets: how much better than with the default recipe",
        "",
        table(("network", *columns), measured, right=columns),
        "",
        table(("parameter", *columns), differing, right=columns),
    ]


def gain_lines(report: Document) -> list[Table | str]:
    """What is changed and where, the objective without and with it, and the gain with its interval."""
    objective, genes = report["objective"], report["genes"]
    head = f"{objective['metric']} ({objective['goal']}); gain: how much better, with a 95 % interval"
    if not report["items"]:
        return [head, "", "Nothing to set beside each other has ended yet."]
    where = [name for name in genes if len({str(one["cell"]["values"][name]) for one in report["items"]}) > 1]
    rows = [
        (
            text.values(one["changed"]),
            *(text.MISSING if name in one["changed"] else text.value(one["cell"]["values"][name]) for name in where),
            str(one["plain"]["trials"]),
            f"{one['plain']['mean']['value']:.4f}",
            str(one["cell"]["trials"]),
            f"{one['cell']['mean']['value']:.4f}",
            _gained(one["gain"]),
        )
        for one in report["items"]
    ]
    numbers = ("trials", "plain", "trials with it", "with it", "gain")
    return [head, "", table(("with", *where, *numbers), rows, right=numbers)]


def _gained(gain: Document) -> str:
    """`+0.0210 (+0.0050 to +0.0370)`; without an interval, the difference alone."""
    interval = f" ({gain['low']:+.4f} to {gain['high']:+.4f})" if gain["low"] is not None else ""
    return f"{gain['value']:+.4f}{interval}"


def _measured(one: Document, names: list[str]) -> str:
    if one["trial"] is None:
        return ""
    reached = "  ".join(text.quantity(name, (one["measured"] or {}).get(name)) for name in names)
    return f"#{one['trial']}  {reached}"


def _reached(measured: Document) -> str:
    if measured["mean"] is None:
        return text.MISSING
    gain = f" ({measured['gain']:+.4f})" if measured["gain"] is not None else ""
    return _plus_minus(measured["mean"], measured["deviation"]) + gain


def _plus_minus(mean: float, deviation: Any) -> str:
    """`0.9721 ± 0.0040`; without a deviation, the mean alone."""
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"

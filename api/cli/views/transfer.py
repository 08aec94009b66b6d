"""The comparison of transferred recipes with the default recipe, as tables."""

from __future__ import annotations

from rich.table import Table

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document
from api.cli.views.recommend import plus_minus


def transfer_lines(report: Document) -> list[Table | str]:
    """Return the results of each network with each recipe, and the differences between the recipes."""
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


def _reached(measured: Document) -> str:
    if measured["mean"] is None:
        return text.MISSING
    gain = f" ({measured['gain']:+.4f})" if measured["gain"] is not None else ""
    return plus_minus(measured["mean"], measured["deviation"]) + gain

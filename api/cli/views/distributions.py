"""What a supernet has learned of each parameter, as a table: `n3  0.63 nats  2 71%  3 22%  1 7%`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from api import text
from api.cli.output import state, table
from api.cli.views.jobs import pairs

Document = Mapping[str, Any]
_SHOWN = 8
"""Options of a parameter, the likeliest ones."""


def distribution_lines(found: Document) -> list[Table | str]:
    """How far the supernet is, then a line per parameter with its options, the likeliest first."""
    head = pairs(
        [
            ("supernet", f"#{found['trial']}"),
            ("state", state(found["state"])),
            ("progress", f"{found['step']} of {found['steps']} measurements"),
            *((name.replace("_", " "), text.quantity(name, value)) for name, value in found["metrics"].items()),
        ]
    )
    rows = [(one["parameter"], text.quantity("entropy", one["entropy"]), _options(one)) for one in found["parameters"]]
    return [head, "", table(("parameter", "entropy", "options"), rows, right=("entropy",))]


def _options(distribution: Document) -> str:
    """`adamw 82%  sgd 18%`; how many are left out."""
    likeliest = sorted(
        zip(distribution["probabilities"], distribution["options"], strict=True), key=lambda one: -one[0]
    )
    shown = "  ".join(f"{text.value(option)} {share:.0%}" for share, option in likeliest[:_SHOWN])
    return f"{shown}  and {left} more" if (left := len(likeliest) - _SHOWN) > 0 else shown

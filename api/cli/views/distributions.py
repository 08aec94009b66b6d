"""The distributions that a supernet has learned, as a table: `n3  0.63 nats  2 71%  3 22%  1 7%`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from api import text
from api.cli.output import state, table
from api.cli.views.jobs import pairs

Document = Mapping[str, Any]
_SHOWN = 8
"""Number of options shown per parameter, the likeliest first."""


def distribution_lines(document: Document) -> list[Table | str]:
    """Return the progress of the supernet, then a line per parameter with its options, the likeliest first."""
    head = pairs(
        [
            ("supernet", f"#{document['trial']}"),
            ("state", state(document["state"])),
            ("progress", f"{document['step']} of {document['steps']} measurements"),
            *((name.replace("_", " "), text.quantity(name, value)) for name, value in document["metrics"].items()),
        ]
    )
    rows = [
        (one["parameter"], text.quantity("entropy", one["entropy"]), _options(one)) for one in document["parameters"]
    ]
    return [head, "", table(("parameter", "entropy", "options"), rows, right=("entropy",))]


def _options(distribution: Document) -> str:
    """Return `adamw 82%  sgd 18%`, with the number of options left out."""
    likeliest = sorted(
        zip(distribution["probabilities"], distribution["options"], strict=True), key=lambda one: -one[0]
    )
    shown = "  ".join(f"{text.choice(option)} {share:.0%}" for share, option in likeliest[:_SHOWN])
    return f"{shown}  and {hidden} more" if (hidden := len(likeliest) - _SHOWN) > 0 else shown

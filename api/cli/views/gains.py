"""The gains of pre-training, self-training and augmentation, as a table."""

from __future__ import annotations

from rich.table import Table

from api import text
from api.cli.output import table
from api.cli.views.jobs import Document


def gain_lines(report: Document) -> list[Table | str]:
    """Return a table of each change, the objective without and with it, and the gain with its interval."""
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
    """Return `+0.0210 (+0.0050 to +0.0370)`, or the difference alone if there is no interval."""
    interval = f" ({gain['low']:+.4f} to {gain['high']:+.4f})" if gain["low"] is not None else ""
    return f"{gain['value']:+.4f}{interval}"

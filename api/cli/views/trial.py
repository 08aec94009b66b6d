"""A trial with its costs, results, candidate and measurements."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from api import text
from api.cli.output import state, table
from api.cli.views.jobs import Document, for_people, pairs, remark, values_table


def trial_lines(trial: Document, measurements: Sequence[Document]) -> list[RenderableType]:
    """Return everything about a trial: facts, parameters, then a row per measurement."""
    results = {**trial["costs"], **for_people(trial, trial["metrics"])}
    head = [("trial", f"#{trial['number']}  {trial['id']}"), ("state", state(trial["state"])), ("why", remark(trial))]
    facts = [(name, text.quantity(name, value)) for name, value in results.items()]
    facts += [(f"test {name}", text.quantity(name, value)) for name, value in (trial["test_metrics"] or {}).items()]
    lines: list[RenderableType] = [pairs([*head, *facts]), "", values_table(trial)]
    names = list(dict.fromkeys(name for one in measurements for name in for_people(trial, one["metrics"])))
    rows = [
        (
            str(one["step"]),
            *(text.quantity(name, one["metrics"].get(name)) for name in names),
            text.duration(one["seconds"]),
        )
        for one in measurements
    ]
    if rows:
        lines += ["", table(("epoch", *names, "time"), rows, right=("epoch", *names, "time"))]
    return lines

"""The dry-run panel: a preview of the job."""

from __future__ import annotations

import math
from collections.abc import Sequence

from api import text
from api.ui.parts.metrics import limit_text
from api.ui.parts.widgets import Figure, Text, box, card, notice, table
from searchsvc.service.planning.plan import Plan
from searchsvc.spaces.halves import halves


class DryRunPanel:
    """Size of the space, share within the limits, the dataset, and the first candidates with their costs."""

    def __init__(self) -> None:
        with card("Dry run", "A preview of the job. Nothing is stored or trained."):
            self._body = box("stack")

    def show(self, plan: Plan | None) -> None:
        """Show a plan. None: the spec has problems."""
        self._body.clear()
        with self._body:
            if plan is None:
                Text("p", "The preview appears once there are no problems.", "muted")
            else:
                _plan(plan)


def _plan(plan: Plan) -> None:
    size, data = plan.space_size, plan.dataset
    with box("figures"):
        Figure("candidates").show("infinite" if math.isinf(size) else text.count(size))
        if plan.hard:
            Figure("within the limits").show(f"{plan.feasible_share:.1%}")
        Figure("classes").show(f"{len(data.classes)}")
        Figure("image size").show(" x ".join(map(str, data.shape)))
    for warning in plan.warnings:
        notice(warning)
    if plan.hard:
        limits = " and ".join(limit_text(one) for one in plan.hard)
        Text("p", f"Checked before training: {limits}. Sampled candidates: {plan.sampled:,}.", "muted small")
    if plan.outcome:
        Text("p", f"Known only after training: {' and '.join(map(limit_text, plan.outcome))}.", "muted small")
    sizes = ", ".join(f"{number:,} {split}" for split, number in data.sizes.items())
    Text("p", f"{data.name}: {sizes}", "muted small wrap")
    for note in data.notes:
        Text("p", note, "muted small wrap")
    _candidates(plan)


def _candidates(plan: Plan) -> None:
    if not plan.candidates:
        Text("p", "There is no preview of candidates: the trained supernet selects them.", "muted small")
        return
    Text("h3", "First candidates", "small")
    costs: Sequence[str] = list(plan.candidates[0].costs)
    rows = [
        (*(text.quantity(name, one.costs[name]) for name in costs), *map(text.values, halves(one.candidate.values)))
        for one in plan.candidates
    ]
    table((*costs, "architecture", "recipe"), rows, numbers=costs)

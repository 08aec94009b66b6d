"""The panels beside the editor: what is wrong at which line, and what would run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from api import text
from api.ui.pages.new_job.draft import Draft, Mark
from api.ui.parts.metrics import limit_words
from api.ui.parts.widgets import Figure, Text, box, card, notice, table
from searchsvc.service.planning.plan import Plan
from searchsvc.spaces.halves import halves


class Faults:
    """The faults, by line; a click goes there."""

    def __init__(self, go_to: Callable[[int], None]) -> None:
        self._go_to = go_to
        with card("Check") as self._card:
            self._said = Text("p", "Checking …", "said")
            self._said.props["role"] = "status"
            self._list = box("stack", "ul").classes("faults")

    def show(self, draft: Draft) -> None:
        count = len(draft.marks)
        self._said.say(f"{text.numbered(count, 'problem')} found." if count else "No problems found.")
        self._list.clear()
        with self._list:
            for mark in draft.marks:
                self._fault(mark)

    def _fault(self, mark: Mark) -> None:
        with box("wrap small", "li"):
            button = Text("button", f"Line {mark.line}", "plain")
            button.props["type"] = "button"
            button.on("click", lambda: self._go_to(mark.line))
            if mark.place:
                Text("span", mark.place.removeprefix("/").replace("/", "."), "mono")
            Text("span", mark.message)


class DryRun:
    """Size of the space, share that keeps the limits, the dataset, the first candidates with their costs."""

    def __init__(self) -> None:
        with card("Dry run", "A preview of the job. Nothing is stored or trained."):
            self._body = box("stack")

    def show(self, plan: Plan | None) -> None:
        """None: what is wrong has to be mended first."""
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
        limits = " and ".join(limit_words(one) for one in plan.hard)
        Text("p", f"Checked before training: {limits}. Sampled candidates: {plan.sampled:,}.", "muted small")
    if plan.outcome:
        Text("p", f"Known only after training: {' and '.join(map(limit_words, plan.outcome))}.", "muted small")
    sizes = ", ".join(f"{number:,} {split}" for split, number in data.sizes.items())
    Text("p", f"{data.name}: {sizes}", "muted small wrap")
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

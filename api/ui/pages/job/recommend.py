"""The recommend panel of a job page: within another limit, the architectures that the job's results speak for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from nicegui import ui

from api import text
from api.ui.context import PageContext
from api.ui.frame import attempt, error_text
from api.ui.live.job_view import JobView
from api.ui.parts.fields import Choice, TextField
from api.ui.parts.metrics import limit_of, limit_text
from api.ui.parts.widgets import Text, box, card, link, table
from api.ui.session import PATH, Visitor
from searchsvc.domain import Constraint, Job
from searchsvc.errors import SearchsvcError
from searchsvc.service.recommending.recommend import Recommendation, Recommendations
from searchsvc.service.recommending.search import Prediction
from searchsvc.service.system.tokens import Scope

_STEPS = 200
"""Of the slider, evenly on a logarithmic scale."""
_SHOWN = 5


class RecommendPanel:
    """A limit that can be moved, and what is predicted to be best within it. Trains nothing by itself."""

    def __init__(self, context: PageContext, visitor: Visitor, job: Job) -> None:
        self._context, self._visitor, self._job = context, visitor, job
        self._ranges: dict[str, tuple[float, float]] = {}
        self._metric = ""
        self._wanted: Constraint | None = None
        self._is_busy = False
        self._found: Recommendations | None = None
        note = "Set a limit to see the candidates that are predicted to be best within it. Nothing is trained."
        with card("Recommend", note) as self._card:
            with box("row recommend"):
                self._choice = Choice("Limit on", self._pick)
                self._most = TextField("At most", self._typed, inputmode="decimal")
                self._slider = box("slider", "input")
                self._train = Text("button", "Train these", "plain")
            self._status = Text("p", "", "small status-line")
            self._status.props["role"] = "status"
            self._list = box("stack")
        self._slider.props.update({"type": "range", "min": 0, "max": _STEPS, "aria-label": "Limit"})
        self._slider.on(
            "input", lambda event: self._most.show(self._at(event.args)), js_handler=_NUMBER, throttle=0.1
        ).on("change", lambda event: self._ask(self._at(event.args)), js_handler=_NUMBER)
        self._train.props["type"], self._train.props["title"] = "button", "Submit a job that trains these in full"
        self._train.on("click", self._train_them)
        self._train.set_visibility(False)
        self._card.set_visibility(False)

    def show(self, view: JobView) -> None:
        """It is there as soon as a cost is known that can be limited."""
        self._ranges = view.once("ranges of costs", _ranges)
        self._card.set_visibility(bool(self._ranges))
        self._choice.offer(list(self._ranges))
        if self._metric not in self._ranges and self._ranges:
            self._pick(next(iter(self._ranges)))

    def _pick(self, metric: str) -> None:
        """Begin at the job's own limit, or in the middle."""
        self._metric = metric
        own = limit_of(self._job.spec, metric)
        limit = own.max if own is not None and own.max is not None else self._at(_STEPS / 2)
        self._choice.show(metric)
        self._most.show(limit)
        ui.run_javascript(f"setField({self._slider.id}, {self._place(limit)})")

    def _at(self, place: float) -> float:
        """The value at a place of the slider, in three digits."""
        low, high = self._ranges[self._metric]
        return float(f"{low * (high / low) ** (float(place) / _STEPS):.3g}")

    def _place(self, value: float) -> float:
        low, high = self._ranges[self._metric]
        inside = min(max(value, low), high)
        return round(_STEPS * math.log(inside / low) / math.log(high / low))

    async def _typed(self, given: str) -> None:
        try:
            limit = float(given)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit) or limit <= 0:
            self._status.set_text("Enter a number above 0, for example 5e6.")
            return
        ui.run_javascript(f"setField({self._slider.id}, {self._place(limit)})")
        await self._ask(limit)

    async def _ask(self, limit: float) -> None:
        """One question at a time; of those that come meanwhile, the newest is asked next."""
        self._wanted = Constraint(metric=self._metric, max=limit)
        self._most.show(limit)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while (wanted := self._wanted) is not None:
                self._wanted = None
                await self._answer(wanted)
        finally:
            self._is_busy = False

    async def _answer(self, limit: Constraint) -> None:
        self._status.set_text(f"Predicting within {limit_text(limit)} …")
        try:
            await self._context.admit(self._visitor, Scope.SUBMIT)
            found = await self._context.call_slow(
                self._context.service.recommendations.recommend, self._job.id, [limit], k=_SHOWN
            )
        except SearchsvcError as error:
            self._tell(None, error_text(error))
            return
        limits = " and ".join(map(limit_text, (*found.constraints, *found.outcome)))
        learned = f"Learned from {found.learned_from} trials, measured after epoch {found.epoch}."
        self._tell(found, f"Within {limits}, best first. {learned}")

    def _tell(self, found: Recommendations | None, said: str) -> None:
        self._found = found
        self._status.set_text(said)
        self._train.set_visibility(found is not None and bool(found.items))
        self._list.clear()
        if found is not None:
            with self._list:
                _items(found)

    async def _train_them(self) -> None:
        found, made = self._found, []
        if found is None:
            return
        await attempt(
            self._context,
            self._visitor,
            Scope.SUBMIT,
            lambda: made.append(self._context.service.recommendations.train(found, owner=self._visitor.token.name)),
            "Submitted.",
        )
        if made:
            ui.navigate.to(f"/jobs/{made[0].id}")


_NUMBER = "e => emit(Number(e.target.value))"


def _ranges(view: JobView) -> dict[str, tuple[float, float]]:
    """The smallest and the largest of each cost above 0 of the results, where they differ."""
    columns = {name: view.results.column(name) for name in view.costs}
    above = {name: column[column > 0] for name, column in columns.items()}
    found = {name: (float(one.min()), float(one.max())) for name, one in above.items() if one.size}
    return {name: (low, high) for name, (low, high) in found.items() if low < high}


def _items(found: Recommendations) -> None:
    predicted = list(found.items[0].predicted) if found.items else []
    costs = list(found.items[0].costs) if found.items else []
    rows = [
        (
            *(_prediction(name, one.predicted[name]) for name in predicted),
            *(text.quantity(name, one.costs[name]) for name in costs),
            lambda one=one: _measured(found.job, one, predicted),
            *map(text.values, one.halves),
        )
        for one in found.items
    ]
    columns = (*(f"predicted {name}" for name in predicted), *costs, "measured", "architecture", "recipe")
    table(columns, rows, numbers=columns[: len(predicted) + len(costs)])


def _prediction(name: str, one: Prediction) -> str:
    return f"{text.quantity(name, one.mean)} ± {one.deviation:.2g}"


def _measured(job: Job, one: Recommendation, predicted: Iterable[str]) -> None:
    if one.trial is None:
        Text("span", "not yet", "muted")
        return
    reached = one.trial.metrics or {}
    link(f"#{one.trial.number}", f"{PATH}/jobs/{job.id}/trials/{one.trial.number}")
    Text("span", " " + ", ".join(text.quantity(name, reached[name]) for name in predicted if name in reached))

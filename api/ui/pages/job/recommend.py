"""The recommend panel of a job page: candidates predicted to be best within another limit."""

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
"""Number of steps of the slider, evenly spaced on a logarithmic scale."""
_SHOWN = 5


class RecommendPanel:
    """A limit that the reader sets, and the candidates predicted to be best within it. Trains nothing by itself."""

    def __init__(self, context: PageContext, visitor: Visitor, job: Job) -> None:
        self._context, self._visitor, self._job = context, visitor, job
        self._ranges: dict[str, tuple[float, float]] = {}
        self._metric = ""
        self._next_limit: Constraint | None = None
        self._is_busy = False
        self._recommendations: Recommendations | None = None
        note = "Set a limit to see the candidates that are predicted to be best within it. Nothing is trained."
        with card("Recommend", note) as self._card:
            with box("row recommend"):
                self._choice = Choice("Limit on", self._pick)
                self._most = TextField("At most", self._enter, inputmode="decimal")
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
        self._train.on("click", self._submit)
        self._train.set_visibility(False)
        self._card.set_visibility(False)

    def show(self, view: JobView) -> None:
        """Show the panel once there is a cost that can be limited."""
        self._ranges = view.once("ranges of costs", _ranges)
        self._card.set_visibility(bool(self._ranges))
        self._choice.offer(list(self._ranges))
        if self._metric not in self._ranges and self._ranges:
            self._pick(next(iter(self._ranges)))

    def _pick(self, metric: str) -> None:
        """Select a metric; the limit begins at the job's own limit, or in the middle of the range."""
        self._metric = metric
        own = limit_of(self._job.spec, metric)
        limit = own.max if own is not None and own.max is not None else self._at(_STEPS / 2)
        self._choice.show(metric)
        self._most.show(limit)
        ui.run_javascript(f"setField({self._slider.id}, {self._place(limit)})")

    def _at(self, place: float) -> float:
        """Return the value at a position of the slider, in three digits."""
        low, high = self._ranges[self._metric]
        return float(f"{low * (high / low) ** (float(place) / _STEPS):.3g}")

    def _place(self, value: float) -> float:
        low, high = self._ranges[self._metric]
        inside = min(max(value, low), high)
        return round(_STEPS * math.log(inside / low) / math.log(high / low))

    async def _enter(self, entry: str) -> None:
        try:
            limit = float(entry)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit) or limit <= 0:
            self._status.set_text("Enter a number above 0, for example 5e6.")
            return
        ui.run_javascript(f"setField({self._slider.id}, {self._place(limit)})")
        await self._ask(limit)

    async def _ask(self, limit: float) -> None:
        """Predict for a limit. Predictions run in turn; of limits that arrive in the meantime, the newest is next."""
        self._next_limit = Constraint(metric=self._metric, max=limit)
        self._most.show(limit)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while (constraint := self._next_limit) is not None:
                self._next_limit = None
                await self._answer(constraint)
        finally:
            self._is_busy = False

    async def _answer(self, limit: Constraint) -> None:
        self._status.set_text(f"Predicting within {limit_text(limit)} …")
        try:
            await self._context.admit(self._visitor, Scope.SUBMIT)
            recommendations = await self._context.call_slow(
                self._context.service.recommendations.recommend, self._job.id, [limit], k=_SHOWN
            )
        except SearchsvcError as error:
            self._show_result(None, error_text(error))
            return
        limits = " and ".join(map(limit_text, (*recommendations.constraints, *recommendations.outcome)))
        learned = f"Learned from {recommendations.learned_from} trials, measured after epoch {recommendations.epoch}."
        self._show_result(recommendations, f"Within {limits}, best first. {learned}")

    def _show_result(self, recommendations: Recommendations | None, status: str) -> None:
        self._recommendations = recommendations
        self._status.set_text(status)
        self._train.set_visibility(recommendations is not None and bool(recommendations.items))
        self._list.clear()
        if recommendations is not None:
            with self._list:
                _items(recommendations)

    async def _submit(self) -> None:
        recommendations, jobs = self._recommendations, []
        if recommendations is None:
            return
        await attempt(
            self._context,
            self._visitor,
            Scope.SUBMIT,
            lambda: jobs.append(
                self._context.service.recommendations.train(recommendations, owner=self._visitor.token)
            ),
            "Submitted.",
        )
        if jobs:
            ui.navigate.to(f"/jobs/{jobs[0].id}")


_NUMBER = "e => emit(Number(e.target.value))"


def _ranges(view: JobView) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest positive value of each cost over all results, if they differ."""
    columns = {name: view.results.column(name) for name in view.costs}
    above = {name: column[column > 0] for name, column in columns.items()}
    ranges = {name: (float(one.min()), float(one.max())) for name, one in above.items() if one.size}
    return {name: (low, high) for name, (low, high) in ranges.items() if low < high}


def _items(recommendations: Recommendations) -> None:
    predicted = list(recommendations.items[0].predicted) if recommendations.items else []
    costs = list(recommendations.items[0].costs) if recommendations.items else []
    rows = [
        (
            *(_prediction(name, one.predicted[name]) for name in predicted),
            *(text.quantity(name, one.costs[name]) for name in costs),
            lambda one=one: _measured(recommendations.job, one, predicted),
            *map(text.values, one.halves),
        )
        for one in recommendations.items
    ]
    columns = (*(f"predicted {name}" for name in predicted), *costs, "measured", "architecture", "recipe")
    table(columns, rows, numbers=columns[: len(predicted) + len(costs)])


def _prediction(name: str, prediction: Prediction) -> str:
    return f"{text.quantity(name, prediction.mean)} ± {prediction.deviation:.2g}"


def _measured(job: Job, recommendation: Recommendation, predicted: Iterable[str]) -> None:
    if recommendation.trial is None:
        Text("span", "not yet", "muted")
        return
    reached = recommendation.trial.metrics or {}
    link(f"#{recommendation.trial.number}", f"{PATH}/jobs/{job.id}/trials/{recommendation.trial.number}")
    Text("span", " " + ", ".join(text.quantity(name, reached[name]) for name in predicted if name in reached))

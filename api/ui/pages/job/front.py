"""The Pareto front of a job page."""

from __future__ import annotations

from api import text
from api.ui.charts import results as charts
from api.ui.charts.plots import Options
from api.ui.live.job_view import JobView
from api.ui.pages.job.chart import Chart, sampling_note
from api.ui.parts.metrics import metric_names
from api.ui.parts.widgets import Text, box
from searchsvc.domain import Job


class FrontPanel:
    """The first objective against a cost that the reader selects."""

    def __init__(self, job: Job) -> None:
        spec = job.spec
        self._metric = spec.objectives[0].metric
        self._costs = [one for one in metric_names(spec) if one != self._metric]
        self._cost = self._costs[0] if self._costs else "seconds"
        self._view: JobView | None = None
        self._chart = Chart(
            "Pareto front",
            f"{self._metric} against a cost; the dashed line is the limit.",
            self._options,
            self._caption,
        )
        with self._chart.card:
            self._choice = box("row small")

    def show(self, view: JobView) -> None:
        self._view = view
        self._costs += [one for one in view.costs if one not in self._costs]
        if self._cost not in self._costs and self._costs:
            self._cost = self._costs[0]
        self._offer()
        self._chart.variant = f"front: {self._cost}"
        self._chart.show(view)

    def _offer(self) -> None:
        if len(self._choice.default_slot.children) == len(self._costs):
            return
        self._choice.clear()
        with self._choice:
            for cost in self._costs:
                button = Text("button", cost, "plain")
                button.props["type"] = "button"
                button.props["aria-pressed"] = "true" if cost == self._cost else "false"
                button.on("click", lambda _, cost=cost: self._pick(cost))

    def _pick(self, cost: str) -> None:
        self._cost = cost
        self._choice.clear()
        if self._view:
            self._offer()
            self._chart.variant = f"front: {self._cost}"
            self._chart.show_now(self._view)

    def _options(self, view: JobView) -> Options | None:
        return charts.front(view, self._cost) if self._cost in view.results.metrics else None

    def _caption(self, view: JobView) -> str:
        if not view.summary.best:
            return "No result within the limits yet"
        on_front = f"{text.numbered(view.summary.pareto_size, 'trial')} on the front"
        return ". ".join(filter(None, (on_front, sampling_note(view))))

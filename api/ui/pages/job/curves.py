"""The learning curves of a job page: of the best and the newest trials first, thousands on request."""

from __future__ import annotations

from nicegui import ui

from api.ui.charts import results as charts
from api.ui.charts.chart_element import ChartElement, packed
from api.ui.charts.plots import Options
from api.ui.context import PageContext
from api.ui.live.job_view import MOST_CURVES, JobView
from api.ui.panel import Panel
from api.ui.parts.widgets import Text, link
from searchsvc.domain import Job

ALL_CURVES = 2000
"""Maximal number of curves if the reader requests all."""
BEST_CURVES = 500
"""Maximal number of these that belong to the best trials."""


class CurvesPanel:
    """A line per trial. The line nearest to the pointer is drawn on top; a click pins it."""

    def __init__(self, context: PageContext, job: Job) -> None:
        self._store, self._wants_all = context.curves(job.id, ALL_CURVES), False
        self._view: JobView | None = None
        self._shown: bytes | None = None
        metric = job.spec.objectives[0].metric
        self._panel: Panel[bytes] = Panel(
            context,
            "Learning curves",
            f"{metric} by epoch, one line per trial. Hover over a line to read it; click to pin it.",
            self._read,
            self._draw,
        )
        with self._panel.tools:
            self._all = Text("button", "", "plain")
            self._all.props["type"], self._all.props["aria-pressed"] = "button", "false"
            self._all.on("click", self._toggle)
            self._all.set_visibility(False)
            self._words = link("", "", "small")
        with self._panel.content:
            self._chart = ChartElement(f"Learning curves. {metric} by epoch.")

    def show(self, view: JobView) -> None:
        self._view = view
        self._all.set_visibility(view.total > MOST_CURVES)
        self._all.set_text(f"All {view.total:,}" if view.total <= ALL_CURVES else f"{ALL_CURVES:,} of {view.total:,}")
        self._panel.changed()

    def _toggle(self) -> None:
        self._wants_all = not self._wants_all
        self._all.props["aria-pressed"] = "true" if self._wants_all else "false"
        self._panel.refresh()

    def _read(self) -> bytes:
        view = self._view
        assert view is not None  # panels are read only after show()
        if self._wants_all:
            return view.once("all curves", lambda one: packed(self._of_all(one)))
        return view.once("curves", lambda one: packed(charts.curves(one, one.curves)))

    def _of_all(self, view: JobView) -> Options:
        first = view.spec.objectives[0]
        return charts.curves(view, self._store.read(view.trials, view.results.best(first, BEST_CURVES), first.metric))

    def _draw(self, options: bytes) -> None:
        if options == self._shown:
            return
        self._shown = options
        self._chart.draw_packed(options)
        ui.run_javascript(f"highlightCurves({self._chart.id}, {self._words.id})")

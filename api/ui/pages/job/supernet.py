"""The supernet panel of a job page."""

from __future__ import annotations

from api.ui.charts import supernet as charts
from api.ui.charts.chart_element import ChartElement
from api.ui.context import PageContext
from api.ui.live.job_view import JobView
from api.ui.panel import Panel
from api.ui.parts.fields import Choice
from searchsvc.domain import Job
from searchsvc.service.results.distributions import Learning

_ROW_PIXELS = 22


_EVERY = "all parameters"


_METRICS = ("entropy", "reward")


class SupernetPanel:
    """Probabilities of options and metrics of the supernet, over its training."""

    def __init__(self, context: PageContext, job: Job) -> None:
        self._context, self._job, self._parameter = context, job, _EVERY
        self._panel: Panel[Learning] = Panel(
            context,
            "Supernet training",
            "The probability of the most likely option of each parameter, or of all options of one parameter, by step.",
            lambda: context.service.results.learning(job.id),
            self._draw,
        )
        with self._panel.tools:
            self._choice = Choice("Parameter", self._pick, (_EVERY,))
        with self._panel.content:
            self._map = ChartElement("Option probabilities by step")
            self._curves = {name: ChartElement(f"{name} by step", "chart short") for name in _METRICS}
        self._panel.card.set_visibility(False)

    def show(self, view: JobView) -> None:
        self._panel.card.set_visibility(view.distributions is not None)
        if view.distributions is not None:
            self._panel.changed()

    def _pick(self, name: str) -> None:
        self._parameter = name
        self._panel.refresh()

    def _draw(self, learning: Learning) -> None:
        self._choice.offer((_EVERY, *learning.parameters))
        self._choice.show(self._parameter)
        parameter = self._parameter
        options = (
            charts.options_over_time(learning, parameter)
            if parameter in learning.parameters
            else charts.certainty(learning)
        )
        self._map.style(f"height: {len(options['yAxis']['data']) * _ROW_PIXELS + 110}px")
        self._map.draw(options)
        for name, chart in self._curves.items():
            chart.set_visibility(name in learning.metrics)
            if name in learning.metrics:
                chart.draw(charts.over_steps(learning, name))

"""The timeline panel of a job page."""

from __future__ import annotations

import time

from api.ui.charts import timeline as charts
from api.ui.charts.chart_element import ChartElement
from api.ui.charts.plots import Options
from api.ui.context import PageContext
from api.ui.live.job_view import JobView
from api.ui.panel import Panel
from searchsvc.domain import Job
from searchsvc.errors import Conflict

MOST_ATTEMPTS = 1000
_ROW_PIXELS = 22


class TimelinePanel:
    """A bar per attempt, a row per worker."""

    def __init__(self, context: PageContext, job: Job) -> None:
        self._context, self._job = context, job
        self._panel: Panel[Options] = Panel(
            context,
            "Timeline",
            f"At most {MOST_ATTEMPTS:,} attempts of the newest trials, on the {charts.MOST_WORKERS} latest workers.",
            self._read,
            self._draw,
        )
        with self._panel.content:
            self._chart = ChartElement("Attempts by worker, over time.")

    def show(self, view: JobView) -> None:  # noqa: ARG002 - the signature of every panel
        self._panel.changed()

    def _read(self) -> Options:
        attempts = self._context.service.trials.attempts_of_job(self._job.id, limit=MOST_ATTEMPTS)
        if not attempts:
            raise Conflict("no trial has started yet")
        return charts.timeline(attempts, time.time())

    def _draw(self, options: Options) -> None:
        self._chart.style(f"height: {max(150, len(options['yAxis']['data']) * _ROW_PIXELS + 100)}px")
        self._chart.draw(options)

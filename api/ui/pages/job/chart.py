"""A chart of a job in a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api.ui.charts.chart_element import ChartElement, packed
from api.ui.charts.plots import Options
from api.ui.live.job_view import MOST_POINTS, JobView
from api.ui.parts.widgets import Text, card


@dataclass(frozen=True, slots=True)
class PackedChart:
    """A chart in the form in which it is sent to pages."""

    options: bytes
    rows: int
    """Number of rows of a chart whose height grows with its rows; 0 for other charts."""


class Chart:
    """A chart in a card, which is hidden while there is nothing to draw."""

    def __init__(
        self,
        title: str,
        note: str,
        draw: Callable[[JobView], Options | None],
        caption: Callable[[JobView], str] = lambda _: "",
    ) -> None:
        self._draw, self._write_caption = draw, caption
        self.variant = title
        """Name of the chart among all charts of the job; pages that show the same variant share its options."""
        self._shown: bytes | None = None
        self._version: int | None = None
        with card(title, note) as self.card:
            self._caption = Text("p", "", "small")
            self._chart = ChartElement(f"{title}. {note}")
            self._chart.props["aria-describedby"] = self._caption.html_id
        self.card.set_visibility(False)

    def show(self, view: JobView) -> None:
        if view.chart_version != self._version:
            self.show_now(view)

    def show_now(self, view: JobView) -> None:
        """Draw the chart again at once, because the reader has made another choice."""
        self._version = view.chart_version
        chart = view.once(("chart", self.variant), lambda one: _packed_chart(self._draw(one)))
        self.card.set_visibility(chart is not None)
        self._caption.set_text(self._write_caption(view))
        if chart is not None and chart.options != self._shown:
            self._shown = chart.options
            if chart.rows:
                self._chart.style(f"height: {chart.rows * 22 + 60}px")
            self._chart.draw_packed(chart.options)


def _packed_chart(options: Options | None) -> PackedChart | None:
    if options is None:
        return None
    axis = options.get("yAxis", {})
    return PackedChart(packed(options), len(axis["data"]) if axis.get("type") == "category" else 0)


def sampling_note(view: JobView) -> str:
    most, count = MOST_POINTS, len(view.results)
    return f"A sample of the {count:,} results is drawn, at most {most:,} per series." if count > most else ""

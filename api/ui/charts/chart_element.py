"""ChartElement: a chart of ECharts in a page."""

from __future__ import annotations

import orjson
from nicegui import ui

from api.ui.charts.plots import Options


class ChartElement(ui.echart):
    """Has a name for screen readers. `draw` shows other options."""

    def __init__(self, name: str, classes: str = "chart") -> None:
        super().__init__({})
        self.classes(classes)
        self.props["role"], self.props["aria-label"] = "img", name

    def draw(self, options: Options) -> None:
        self.draw_packed(packed(options))

    def draw_packed(self, options: bytes) -> None:
        """As text: NiceGUI would watch each of thousands of points for changes, for each open page."""
        self.props["options"] = orjson.Fragment(options)
        self.update()


def packed(options: Options) -> bytes:
    """As JSON, so that many pages can share it."""
    return orjson.dumps(options)

"""A chart of ECharts as an element of a page."""

from __future__ import annotations

import orjson
from nicegui import ui

from api.ui.charts.plots import Options


class ChartElement(ui.echart):
    """A chart with a name for screen readers. `draw` replaces its options."""

    def __init__(self, name: str, classes: str = "chart") -> None:
        super().__init__({})
        self.classes(classes)
        self.props["role"], self.props["aria-label"] = "img", name

    def draw(self, options: Options) -> None:
        self.draw_packed(packed(options))

    def draw_packed(self, options: bytes) -> None:
        """Show options as JSON, so that NiceGUI does not watch thousands of points for changes on every page."""
        self.props["options"] = orjson.Fragment(options)
        self.update()


def packed(options: Options) -> bytes:
    """Return options as JSON, which many pages can share."""
    return orjson.dumps(options)

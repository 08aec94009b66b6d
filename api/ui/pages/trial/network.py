"""The network of a trial, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Callable

from api import text
from api.ui.parts.widgets import Bar, Text, box, table
from searchsvc.service.results.architecture import Architecture
from searchsvc.spaces.costs.stages import Stage

_COLUMNS = (
    "stage",
    "map",
    "block",
    "kernel",
    "channels",
    "expansion",
    "SE",
    "stride",
    "output",
    "FLOPs",
    "share",
    "params",
)
_NUMBERS = ("kernel", "channels", "expansion", "stride", "output", "FLOPs", "params")
_TALLEST, _WIDEST, _SMALLEST = 34.0, 60.0, 3.0
"""Maximal height, maximal width and minimal size of drawn maps, in pixels."""


def draw(architecture: Architecture) -> None:
    """Show a row per stage, whose map has the height of the output and the width of its channels."""
    channels, height, width = architecture.shape
    costs = f"{text.count(architecture.flops)} FLOPs, {text.count(architecture.params)} parameters"
    Text("p", f"For images of {channels} x {height} x {width} px: {costs}.", "muted small")
    most = max((one.channels for one in architecture.stages), default=1)
    tallest = max((one.height for one in architecture.stages), default=1)
    rows = [
        (
            one.name,
            _map(one, most, tallest),
            _block(one),
            str(one.kernel or ""),
            str(one.channels),
            f"{one.expansion:.3g}" if one.expansion else "",
            "yes" if one.squeezes else "",
            str(one.stride) if one.kernel else "",
            f"{one.height} x {one.width}",
            text.count(one.flops),
            lambda one=one: share(one, architecture.flops),
            text.count(one.params),
        )
        for one in architecture.stages
    ]
    table(_COLUMNS, rows, numbers=_NUMBERS).classes("stages")


def _block(stage: Stage) -> str:
    times = f"{stage.count} x {stage.block}" if stage.count > 1 else stage.block
    return f"{times} ({stage.note})" if stage.note else times


def _map(stage: Stage, most: int, tallest: int) -> Callable[[], None]:
    """Return a cell with the map of a stage, on logarithmic scales: channels grow and maps shrink by factors."""

    def make() -> None:
        high = _SMALLEST + (_TALLEST - _SMALLEST) * math.log1p(stage.height) / math.log1p(tallest)
        wide = _SMALLEST + (_WIDEST - _SMALLEST) * math.log1p(stage.channels) / math.log1p(most)
        drawn = box("feature-map")
        drawn.style(f"height: {high:.0f}px; width: {wide:.0f}px")
        drawn.props["role"] = "img"
        drawn.props["aria-label"] = f"{stage.channels} maps of {stage.height} x {stage.width} px"

    return make


def share(stage: Stage, flops: float) -> None:
    """Show the share of the network's FLOPs in a stage, as a bar with its number."""
    part = stage.flops / flops if flops else 0.0
    with box("share"):
        Bar(f"share of the FLOPs: {stage.name}").show(part)
        Text("span", f"{part:.1%}".replace("%", " %"), "number")

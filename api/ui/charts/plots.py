"""Building blocks of charts: ECharts options of axes, points and lines, in the colours of `theme`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from api.ui.parts.theme import HAIR, INK

Options: TypeAlias = dict[str, Any]

LEGEND: Mapping[str, Any] = MappingProxyType(
    {"top": 0, "left": 0, "textStyle": {"color": INK}, "itemWidth": 14, "itemHeight": 8}
)
_FORMAT = "value => shortNumber(value)"
_LARGE = 3000


def plane(x: Options, y: Options, series: list[Options]) -> Options:
    """Return two axes with their series, and a legend above if there are several series."""
    x |= {"nameLocation": "middle", "nameGap": 26}
    several = len(series) > 1
    return {
        "animation": False,
        "grid": {"left": 8, "right": 20, "top": 58 if several else 30, "bottom": 30, "containLabel": True},
        "legend": {**LEGEND, "show": several},
        "tooltip": {"trigger": "item", "confine": True, ":formatter": "p => pointTooltip(p)"},
        "xAxis": x,
        "yAxis": y | {"nameTextStyle": {"color": INK, "align": "left"}},
        "series": series,
    }


def axis(name: str, *, whole: bool = False, reach: Sequence[float] = ()) -> Options:
    """Return a linear axis. `reach`: values that the axis must include."""
    options: Options = {
        "type": "value",
        "name": name,
        "scale": True,
        "axisLabel": {"color": INK, ":formatter": _FORMAT, "hideOverlap": True},
        "nameTextStyle": {"color": INK},
        "splitLine": {"lineStyle": {"color": HAIR}},
        "axisLine": {"show": False},
    }
    if whole:
        options["minInterval"] = 1
    if reach:
        options |= {
            ":min": f"v => Math.min(v.min, {min(reach)!r})",
            ":max": f"v => Math.max(v.max, {max(reach) * 1.02!r})",
        }
    return options


def scatter(name: str, data: list[list[float]], colour: str, size: int, symbol: str = "circle") -> Options:
    """Return a series of points; large series are drawn in a single pass."""
    style = {"color": colour}
    return {
        "type": "scatter",
        "name": name,
        "data": data,
        "symbolSize": size,
        "symbol": symbol,
        "itemStyle": style,
        "large": len(data) > _LARGE,
    }


def line(
    name: str, data: Sequence[Any], colour: str, *, width: float = 2, step: str | None = None, dots: bool = False
) -> Options:
    """Return a series of lines; None in `data` ends a line, and the next point begins another."""
    return {
        "type": "line",
        "name": name,
        "data": list(data),
        "showSymbol": dots,
        "symbolSize": 4,
        "connectNulls": False,
        "lineStyle": {"color": colour, "width": width},
        "itemStyle": {"color": colour},
        **({"step": step} if step else {}),
    }

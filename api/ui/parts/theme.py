"""Design tokens: the single source of colours, sizes and type, as CSS variables for pages and as values for charts.

The colours of states and series are those of Okabe and Ito, darkened for text on white and lightened for text on black,
so that colour-blind readers can distinguish them. Every state also has a word and a sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

LIGHT: Mapping[str, str] = MappingProxyType(
    {
        "ground": "#f5f6f8",
        "surface": "#ffffff",
        "sunken": "#eceff3",
        "line": "#d9dee6",
        "text": "#1b222c",
        "muted": "#55606f",
        "accent": "#0b5cad",
        "on-accent": "#ffffff",
        "blue": "#0b5cad",
        "green": "#00694d",
        "amber": "#8a5a00",
        "red": "#b03a00",
        "purple": "#8c3d70",
        "grey": "#55606f",
        "shadow": "0 1px 2px rgb(20 30 50 / 6%)",
    }
)
DARK: Mapping[str, str] = MappingProxyType(
    {
        "ground": "#12161c",
        "surface": "#1a2029",
        "sunken": "#232b36",
        "line": "#323c4a",
        "text": "#e6eaf0",
        "muted": "#a3afbf",
        "accent": "#6cb6f5",
        "on-accent": "#0c1118",
        "blue": "#6cb6f5",
        "green": "#3fcba1",
        "amber": "#f0b54a",
        "red": "#ff8f5c",
        "purple": "#e0a0c8",
        "grey": "#a3afbf",
        "shadow": "none",
    }
)
STATES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "QUEUED": ("grey", "◌", "queued"),
        "RUNNING": ("blue", "▶", "running"),
        "PAUSED": ("amber", "‖", "paused"),
        "STOPPING": ("amber", "◧", "stopping"),
        "SUCCEEDED": ("green", "✓", "succeeded"),
        "STOPPED": ("purple", "↓", "stopped early"),
        "FAILED": ("red", "✕", "failed"),
        "CANCELLED": ("grey", "⊘", "cancelled"),
    }
)
"""State of a job or trial -> (colour, sign, word)."""

INK = "#7d8795"
"""Colour of text in charts, readable on light and dark backgrounds."""
HAIR = "rgba(125, 135, 149, 0.22)"
"""Colour of grid lines in charts."""
SERIES: Mapping[str, str] = MappingProxyType(
    {
        "main": "#2b8ad6",
        "best": "#d98200",
        "limit": "#d55e00",
        "good": "#009e73",
        "faint": "rgba(125, 135, 149, 0.45)",
        "other": "#b8628f",
    }
)
"""Colours of series in charts, on light and dark backgrounds."""
RANKS = ("#d98200", "#8d99a6", "#2b8ad6")
"""Colours from the best to the worst, on light and dark backgrounds."""
HEAT = ("rgba(43, 138, 214, 0.04)", "rgba(43, 138, 214, 1)")


def css() -> str:
    """Return the tokens as variables, then the rules of the pages."""
    rules = asset("page.css")
    return f"body {{ {_variables(LIGHT)} }}\nbody.body--dark {{ {_variables(DARK)} }}\n{rules}"


def script() -> str:
    """Return the script of the pages."""
    return asset("shared.js") + asset("page.js")


def asset(name: str) -> str:
    """Return the text of a file in the folder `assets`."""
    return (Path(__file__).parents[1] / "assets" / name).read_text(encoding="utf-8")


def _variables(tokens: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in tokens.items())

"""Helpers of the pages of studies: figures in a common style, results between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0b6e4f", "#5fad8a", "#c05621", "#3b6ea5", "#8a8f98", "#9b5d9e")


def begin() -> None:
    """Set up drawing without a display, with identical files for identical numbers."""
    plt.switch_backend("svg")
    matplotlib.rcParams["svg.hashsalt"] = "searchsvc"


def save(figure: Figure, axes: Axes, path: Path) -> None:
    """Write and close a figure with a single pair of axes."""
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write(page: Path, results: str) -> None:
    """Replace the text between the two marks of a page."""
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text(f"{before}{begin}\n{results}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def spread(values: Sequence[float]) -> str:
    """Return mean and range, in per cent."""
    if not values:
        return "none"
    scaled = 100 * np.array(values)
    return f"{scaled.mean():.2f} ({scaled.min():.2f} to {scaled.max():.2f})"


def so_far(costs: Sequence[float], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n,) cost spent and the (n,) best value so far, after each of n trials."""
    return np.cumsum(costs), np.maximum.accumulate(np.array(values))


def at(grid: np.ndarray, spent: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return the (g,) best value so far at each cost of `grid` (g,); NaN before the first trial has ended."""
    index = np.searchsorted(spent, grid, side="right") - 1
    return np.where(index >= 0, best[np.maximum(index, 0)], np.nan)

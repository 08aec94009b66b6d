"""Figures of the ablation: means over repeats, stored as JSON, and the tables made of them.

`python -m benchmarks.ablation_figures FILE` puts the tables into docs/benchmarks.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import Row
from benchmarks.search_results import PAGE, between_marks

MARKS = "<!-- ablation: begin -->", "<!-- ablation: end -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """A cell of the tables: the part, the variant (a line of its table) and the setting (a column)."""

    part: str
    what: str
    at: str
    mean: float
    error: float | None
    """Standard error of the mean; None for a single measurement."""
    bound: str = ""
    holds: bool | None = None

    @classmethod
    def of(cls, part: str, what: str, at: str, values: Sequence[float]) -> Figure:
        """Make a figure from a value per repeat."""
        error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
        return cls(part, what, at, float(np.mean(values)), error)

    def __str__(self) -> str:
        error = f" ± {_digits(self.error, 1)}" if self.error else ""
        return f"{_digits(self.mean, 3)}{error}"


def read(path: Path | None) -> list[Figure]:
    """Return the figures in the file, or no figures if it does not exist yet."""
    if path is None or not path.exists():
        return []
    return [Figure(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def write(path: Path | None, figures: Sequence[Figure]) -> None:
    """Write a line per figure, so that files can be compared."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(json.dumps(asdict(one)) for one in figures)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def rows_of(figures: Sequence[Figure]) -> list[Row]:
    """Return a row per line of the tables; a figure with a bound has its own row."""
    rows = []
    for part, what in dict.fromkeys((one.part, one.what) for one in figures):
        line = [one for one in figures if (one.part, one.what) == (part, what)]
        bounded = next((one for one in line if one.bound), line[0])
        cells = "; ".join(f"{one.at}: {one}" for one in line)
        rows.append(Row(f"{part}: {what}", cells, "", None, bounded.bound, bounded.holds))
    return rows


def markdown(figures: Sequence[Figure]) -> str:
    """Return a table per part, in their order."""
    return "\n".join(_tables(figures))


def _tables(figures: Sequence[Figure]) -> Iterator[str]:
    for part in dict.fromkeys(one.part for one in figures):
        own = [one for one in figures if one.part == part]
        columns = list(dict.fromkeys(one.at for one in own))
        yield f"| {part} | {' | '.join(columns)} |"
        yield "|---" * (len(columns) + 1) + "|"
        for what in dict.fromkeys(one.what for one in own):
            cells = {one.at: _cell(one) for one in own if one.what == what}
            yield f"| {what} | {' | '.join(cells.get(column, '') for column in columns)} |"
        yield ""


def _cell(figure: Figure) -> str:
    if not figure.bound:
        return str(figure)
    return f"{figure} ({figure.bound}: {'reached' if figure.holds else 'not reached'})"


def _digits(value: float, digits: int) -> str:
    """Round to a number of significant digits; whole numbers in full, without an exponent."""
    places = digits - 1 - int(np.floor(np.log10(abs(value)))) if value else digits - 1
    return f"{value:,.{max(0, places)}f}"


if __name__ == "__main__":
    text = between_marks(PAGE.read_text(encoding="utf-8"), f"\n{markdown(read(Path(sys.argv[1])))}", MARKS)
    PAGE.write_text(text, encoding="utf-8")

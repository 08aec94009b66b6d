"""The rows that benchmarks return, and the table made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import IO

from rich.console import Console
from rich.table import Table

from benchmarks.search_results import between_marks


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its reference; `ratio` compares ours to the reference, in the direction that the bound names."""

    what: str
    ours: str
    reference: str
    ratio: float | None = None
    bound: str = ""
    holds: bool | None = None
    """True if the bound holds; None if there is no bound."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def print_table(title: str, rows: Sequence[Row], file: IO[str] | None = None) -> None:
    """Print a table per benchmark, to `file` or the terminal; bounds that do not hold are marked."""
    table = Table("what", "ours", "reference", "ratio", "to reach", title=title, title_justify="left")
    for row in rows:
        verdict = {True: "reached", False: "NOT REACHED", None: ""}[row.holds]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.what, row.ours, row.reference, ratio, f"{row.bound} {verdict}".strip())
    Console(width=140, file=file).print(table)


def with_table(page: str, name: str, title: str, rows: Sequence[Row]) -> str:
    """Return the page with this table between the marks of the benchmark, if it has them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if begin not in page:
        return page
    text = StringIO()
    print_table(title, rows, text)
    lines = "\n".join(line.rstrip() for line in text.getvalue().splitlines())
    return between_marks(page, f"\n```\n{lines}\n```\n", (begin, end))

"""Tables that compare trials side by side: differences are marked, identical rows can be hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui.element import Element

from api import text
from api.ui.parts.widgets import Text, table

Cell = str | Callable[[], Element | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the comparison, with a cell for each trial."""

    name: str
    differs: bool
    cells: Sequence[Cell]


def side_by_side(heading: str, labels: Sequence[str], lines: Sequence[Line], *, everything: bool) -> Element | None:
    """Show the lines that differ, or all of them, and the number of hidden lines. Return None if no line is shown."""
    shown = [one for one in lines if one.differs or everything]
    alike = len(lines) - len(shown)
    shown_table = None
    if shown:
        shown_table = table(
            ("", heading, *labels), [("≠" if one.differs else "", one.name, *one.cells) for one in shown]
        )
    if alike:
        Text("p", f"{text.numbered(alike, 'identical row')} hidden." if shown else "No differences.", "muted small")
    return shown_table


def marked(words: str, differs: bool) -> Text:
    """Show a text, marked by weight and colour if it differs."""
    return Text("strong", words, "differs") if differs else Text("span", words)

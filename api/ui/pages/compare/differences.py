"""Tables of what trials are, side by side: what differs from the first is marked, what is alike can be left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui.element import Element

from api import text
from api.ui.parts.widgets import Text, table

Cell = str | Callable[[], Element | None]


@dataclass(frozen=True, slots=True)
class Line:
    """Something that each trial has, or lacks: a cell for each."""

    name: str
    differs: bool
    cells: Sequence[Cell]


def side_by_side(what: str, labels: Sequence[str], lines: Sequence[Line], *, everything: bool) -> Element | None:
    """The lines that differ, or all of them; says how many others there are. None where no line is shown."""
    shown = [one for one in lines if one.differs or everything]
    alike = len(lines) - len(shown)
    made = None
    if shown:
        made = table(("", what, *labels), [("≠" if one.differs else "", one.name, *one.cells) for one in shown])
    if alike:
        Text("p", f"{text.numbered(alike, 'identical row')} hidden." if shown else "No differences.", "muted small")
    return made


def marked(words: str, differs: bool) -> Text:
    """Not by its colour alone."""
    return Text("strong", words, "differs") if differs else Text("span", words)

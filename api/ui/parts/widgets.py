"""Parts of pages: texts, states, bars, figures, tables. Whatever is shown goes in as text, never as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from api.ui.parts.theme import STATES


class Text(TextElement):
    """An element that holds text only: a heading, a cell, a paragraph."""

    def __init__(self, tag: str, text: str = "", classes: str = "") -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)


def box(classes: str, tag: str = "div") -> Element:
    """An element for others."""
    return ui.element(tag).classes(classes)


def link(text: str, href: str, classes: str = "") -> Text:
    found = Text("a", text, classes)
    found.props["href"] = href
    return found


class State(Text):
    """The state of a job or trial: a sign, a word, a colour."""

    def __init__(self, state: str | None = None) -> None:
        super().__init__("span", "", "state")
        self._tone = ""
        if state:
            self.show(state)

    def show(self, state: str) -> None:
        tone, sign, word = STATES[state]
        self.set_text(word)
        if self.props.get("data-sign") != sign:
            self.props["data-sign"] = sign
            self.classes(remove=self._tone, add=f"tone-{tone}")
            self._tone = f"tone-{tone}"


def iso(seconds: float) -> str:
    """A point in time, as `<time datetime>` holds it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Moment(Element):
    """A point in time, which the browser says in the reader's zone."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__("time")
        self.show(seconds)

    def show(self, seconds: float | None) -> None:
        if seconds is None:
            return
        text = iso(seconds)
        if self.props.get("datetime") != text:
            self.props["datetime"] = text


class Bar(Element):
    """A share of something, from 0 to 1."""

    def __init__(self, name: str) -> None:
        super().__init__("div")
        self.classes("bar")
        self.props["role"], self.props["aria-label"] = "progressbar", name
        self.props["aria-valuemin"], self.props["aria-valuemax"] = 0, 100
        with self:
            self._filled = box("")
        self.show(0.0)

    def show(self, share: float) -> None:
        percent = round(100 * max(0.0, min(1.0, share)), 1)
        if self.props.get("aria-valuenow") != percent:
            self.props["aria-valuenow"] = percent
            self._filled.style(f"width: {percent}%")


class Figure(Element):
    """A number and what it is."""

    def __init__(self, name: str) -> None:
        super().__init__("div")
        self.classes("figure")
        with self:
            Text("div", name, "name")
            self._value = Text("div", "-", "value")

    def show(self, value: str | None) -> None:
        self._value.set_text(value or "-")


def card(title: str, note: str = "") -> Element:
    """A card with its heading; used as a context for what stands in it."""
    made = box("card", "section")
    made.props["aria-label"] = title
    with made:
        Text("h2", title)
        if note:
            Text("p", note, "muted small")
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = ()) -> Element:
    """A table of texts; a cell may be a function that makes an element."""
    with box("scroll") as outer, box("plain-table", "table"):
        with box("", "thead"), box("", "tr"):
            for name in columns:
                Text("th", name, "number" if name in numbers else "").props["scope"] = "col"
        with box("", "tbody"):
            for row in rows:
                with box("", "tr"):
                    for name, cell in zip(columns, row, strict=True):
                        _cell(cell, "number" if name in numbers else "")
    return outer


def _cell(content: Any, classes: str) -> None:
    if callable(content):
        with box(classes, "td"):
            content()
    else:
        Text("td", str(content), classes)


def notice(text: str, *, bad: bool = False) -> Text:
    """Something that the reader has to know; screen readers say it at once."""
    made = Text("p", text, "notice bad" if bad else "notice")
    made.props["role"] = "alert" if bad else "status"
    return made

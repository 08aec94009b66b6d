"""Parts of pages: texts, states, bars, figures and tables. All content is inserted as text, never as HTML."""

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
    """Add an element for other elements."""
    return ui.element(tag).classes(classes)


def link(text: str, href: str, classes: str = "") -> Text:
    anchor = Text("a", text, classes)
    anchor.props["href"] = href
    return anchor


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
    """Return a point in time in the format of `<time datetime>`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Moment(Element):
    """A point in time, which the browser shows in the reader's time zone."""

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
    """A share from 0 to 1."""

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
    """A number and its name."""

    def __init__(self, name: str) -> None:
        super().__init__("div")
        self.classes("figure")
        with self:
            Text("div", name, "name")
            self._value = Text("div", "-", "value")

    def show(self, value: str | None) -> None:
        self._value.set_text(value or "-")


def card(title: str, note: str = "") -> Element:
    """Add a card with its heading, to be used as a context for its content."""
    section = box("card", "section")
    section.props["aria-label"] = title
    with section:
        Text("h2", title)
        if note:
            Text("p", note, "muted small")
    return section


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[str] = ()) -> Element:
    """Add a table of texts; a cell can be a function that creates an element."""
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
    """Add a message that screen readers announce at once."""
    paragraph = Text("p", text, "notice bad" if bad else "notice")
    paragraph.props["role"] = "alert" if bad else "status"
    return paragraph

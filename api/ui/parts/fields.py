"""Form fields: an input element of the browser with its label."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import context
from nicegui.element import Element

from api.ui.parts.widgets import Text, box

OnChange = Callable[[str], Any]


class Field(Element):
    """A label with its control. `show` changes its value unless the reader is editing it."""

    def __init__(self, name: str, on_change: OnChange, control: str, **properties: str) -> None:
        super().__init__("label")
        self.classes("form-field")
        self._shown: str | None = None
        with self:
            Text("span", name, "muted small")
            self.control = box("field", control)
        self.control.props.update(properties)
        self.control.on("change", lambda event: self._chosen(event.args, on_change), js_handler=_VALUE)

    def _chosen(self, value: str, on_change: OnChange) -> Any:
        self._shown = value
        return on_change(value)

    def show(self, value: object) -> None:
        text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        if text != self._shown:
            self._shown = text
            context.client.run_javascript(f"setField({self.control.id}, {json.dumps(text)})")


class TextField(Field):
    """A line of text, or a number."""

    def __init__(self, name: str, on_change: OnChange, **properties: str) -> None:
        super().__init__(name, on_change, "input", **properties)


class Choice(Field):
    """A choice among several options."""

    def __init__(self, name: str, on_change: OnChange, options: Sequence[str] = ()) -> None:
        super().__init__(name, on_change, "select")
        self._offered: tuple[str, ...] = ()
        self._options: tuple[str, ...] = ()
        self.offer(options)

    def offer(self, options: Sequence[str]) -> None:
        """Replace the options."""
        if tuple(options) != self._offered:
            self._offered = tuple(options)
            self._set_options(self._offered)

    def show(self, value: object) -> None:
        """Select a value. Append it if it is not offered: the text may hold values that the form does not offer."""
        text = "" if value is None else str(value)
        if text not in self._options:
            self._set_options((*self._offered, text))
        super().show(text)

    def _set_options(self, options: tuple[str, ...]) -> None:
        self._options, self._shown = options, None
        self.control.clear()
        with self.control:
            for option in options:
                Text("option", option).props["value"] = option


_VALUE = "e => emit(e.target.value)"

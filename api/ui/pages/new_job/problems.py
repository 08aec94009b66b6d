"""The list of problems in a spec, by line."""

from __future__ import annotations

from collections.abc import Callable

from api import text
from api.ui.pages.new_job.draft import Draft, Mark
from api.ui.parts.widgets import Text, box, card


class ProblemList:
    """The problems by line; a click moves the editor to the line."""

    def __init__(self, go_to: Callable[[int], None]) -> None:
        self._go_to = go_to
        with card("Check") as self._card:
            self._status = Text("p", "Checking …", "status-line")
            self._status.props["role"] = "status"
            self._list = box("stack", "ul").classes("faults")

    def show(self, draft: Draft) -> None:
        count = len(draft.marks)
        self._status.set_text(f"{text.numbered(count, 'problem')} found." if count else "No problems found.")
        self._list.clear()
        with self._list:
            for mark in draft.marks:
                self._fault(mark)

    def _fault(self, mark: Mark) -> None:
        with box("wrap small", "li"):
            button = Text("button", f"Line {mark.line}", "plain")
            button.props["type"] = "button"
            button.on("click", lambda: self._go_to(mark.line))
            if mark.place:
                Text("span", mark.place.removeprefix("/").replace("/", "."), "mono")
            Text("span", mark.message)

"""The log of a trial page."""

from __future__ import annotations

from collections import deque

from api.ui.live.log_tail import LogTail
from api.ui.parts.widgets import Text, box


class TrialLog:
    """The end of a log. New lines are appended and old lines removed; the view stays at the end unless scrolled."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, Text]] = deque()
        self._next = 0
        with box("log") as holder:
            self._body = box("mono", "pre")
        holder.props["tabindex"], holder.props["role"], holder.props["aria-label"] = "0", "log", "Log"
        with self._body:
            self._empty = Text("span", "No log yet. It starts with the training.", "muted")

    def show(self, tail: LogTail) -> None:
        self._empty.set_visibility(not tail.lines)
        new = tail.lines[max(0, self._next - tail.first) :]
        if not new:
            return
        self._next = tail.first + len(tail.lines)
        with self._body:
            self._parts.append((self._next, Text("span", "".join(f"{one}\n" for one in new))))
        while self._parts[0][0] <= tail.first:
            self._parts.popleft()[1].delete()

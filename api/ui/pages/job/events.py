"""The events of a job page."""

from __future__ import annotations

import orjson
from nicegui import ui

from api.ui.live.job_view import JobView
from api.ui.parts import event_text
from api.ui.parts.widgets import box, card, iso
from searchsvc.domain import Event

_SHOWN_EVENTS = 100


class EventsPanel:
    """What happened, the newest first."""

    def __init__(self) -> None:
        self._last = 0
        with card("Events", f"The newest {_SHOWN_EVENTS} events with their reasons, without measurements."):
            self._list = box("events small stack")
            self._list.props["tabindex"] = "0"

    def show(self, view: JobView) -> None:
        """As text that the page makes lines of: elements of our own would cost many times as much, for each reader."""
        after = self._last
        self._last, lines = view.once(("told after", after), lambda one: _told(one, after))
        if lines:
            ui.run_javascript(f"prependEvents({self._list.id}, {lines}, {_SHOWN_EVENTS})")


def _told(view: JobView, after: int) -> tuple[int, str]:
    """The number of the newest event, and the lines of those after one, as JSON: [time, words], the oldest first."""
    told = [event for event in view.events if event.kind != "trial.measured"][:_SHOWN_EVENTS]
    new = [event for event in reversed(told) if event.sequence > after]
    lines = [(iso(event.at), event_text.describe_event(event, _number(event, view), view.spec)) for event in new]
    return (new[-1].sequence, orjson.dumps(lines).decode()) if new else (after, "")


def _number(event: Event, view: JobView) -> int | None:
    return view.numbers.get(event.trial_id) if event.trial_id else None

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
    """The list of events, the newest first."""

    def __init__(self) -> None:
        self._last = 0
        with card("Events", f"The newest {_SHOWN_EVENTS} events with their reasons, without measurements."):
            self._list = box("events small stack")
            self._list.props["tabindex"] = "0"

    def show(self, view: JobView) -> None:
        """Send new events as text, from which the page builds lines: elements of NiceGUI would cost more per reader."""
        after = self._last
        self._last, lines = view.once(("events after", after), lambda one: _new_lines(one, after))
        if lines:
            ui.run_javascript(f"prependEvents({self._list.id}, {lines}, {_SHOWN_EVENTS})")


def _new_lines(view: JobView, after: int) -> tuple[int, str]:
    """Return the number of the newest event, and the events after `after` as JSON: [time, words], the oldest first."""
    events = [event for event in view.events if event.kind != "trial.measured"][:_SHOWN_EVENTS]
    new = [event for event in reversed(events) if event.sequence > after]
    lines = [(iso(event.at), event_text.describe_event(event, _number(event, view), view.spec)) for event in new]
    return (new[-1].sequence, orjson.dumps(lines).decode()) if new else (after, "")


def _number(event: Event, view: JobView) -> int | None:
    return view.numbers.get(event.trial_id) if event.trial_id else None

"""The tables of a job page: its trials, and what happened to it."""

from __future__ import annotations

import json

import orjson
from nicegui import ui

from api import text
from api.ui.live.compare_view import MOST
from api.ui.live.job_view import MOST_TRIALS, JobView
from api.ui.pages.job.export_menu import TELL, complain
from api.ui.parts import event_text
from api.ui.parts.widgets import Text, box, card, iso
from api.ui.session import PATH
from api.ui.tables.grids import Grid
from api.ui.tables.trial_columns import trial_columns
from searchsvc.domain import Event, Job

_SHOWN_EVENTS = 100


class Trials:
    """One row per trial; a click opens it."""

    def __init__(self, job: Job) -> None:
        with card("Trials"):
            with box("row spread"):
                self._said = Text("p", "", "muted small said")
                with box("tools"):
                    search = box("field", "input").style("max-width: 220px")
                    search.props.update({"type": "search", "placeholder": "Filter", "aria-label": "Filter the trials"})
                    compare = Text("button", "Compare", "plain compares")
                    compare.props["type"], compare.props["title"] = "button", f"Select 2 to {MOST} trials first"
                    compare.props["disabled"] = True
                    save = Text("button", "CSV", "plain")
                    save.props["type"], save.props["title"] = "button", "Download all trials that match the filters"
            opens = f"{PATH}/jobs/{job.id}/trials/"
            columns = trial_columns(job.spec)
            self._grid = Grid("Trials", columns, "trials-grid", topic=job.id, opens=opens, selects=True)
        search.on(
            "input", lambda event: self._grid.filter(event.args), js_handler="e => emit(e.target.value)", throttle=0.2
        )
        compare.on("click", js_handler=f"() => compareChosen({self._grid.element.id}, {json.dumps(job.id)})")
        path = f"{PATH}/exports/{job.id}/matching"
        fetch = f"e => takeMatching(e.currentTarget, {self._grid.element.id}, {json.dumps(path)}).then({TELL})"
        save.on("click", complain, js_handler=fetch)

    def show(self, view: JobView) -> None:
        self._said.say(_shown(view))
        self._grid.show(view.rows)


def _shown(view: JobView) -> str:
    """Which trials the table has."""
    shown = len(view.trials)
    if not view.is_whole:
        return f"newest {shown:,} of {view.total:,} trials; loading the others …"
    if view.total > shown:
        return f"newest {MOST_TRIALS:,} and best of {view.total:,} trials; the CSV has all that match the filters"
    return text.numbered(shown, "trial")


class Events:
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
            ui.run_javascript(f"tellEvents({self._list.id}, {lines}, {_SHOWN_EVENTS})")


def _told(view: JobView, after: int) -> tuple[int, str]:
    """The number of the newest event, and the lines of those after one, as JSON: [time, words], the oldest first."""
    told = [event for event in view.events if event.kind != "trial.measured"][:_SHOWN_EVENTS]
    new = [event for event in reversed(told) if event.sequence > after]
    lines = [(iso(event.at), event_text.of_event(event, _number(event, view), view.spec)) for event in new]
    return (new[-1].sequence, orjson.dumps(lines).decode()) if new else (after, "")


def _number(event: Event, view: JobView) -> int | None:
    return view.numbers.get(event.trial_id) if event.trial_id else None

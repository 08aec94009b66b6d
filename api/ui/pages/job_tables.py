"""The tables of a job page: its trials, and what happened to it."""

from __future__ import annotations

import json
from typing import Any

from nicegui.element import Element

from api.ui import words
from api.ui.compare_view import MOST
from api.ui.grids import Grid, number_column, text_column
from api.ui.job_view import MOST_TRIALS, JobView
from api.ui.numbers import metric_names
from api.ui.pages.job_takeaway import TELL, complain
from api.ui.parts import Moment, Text, box, card
from api.ui.session import PATH
from searchsvc.domain import Event, Job

_SHOWN_EVENTS = 100
_BY_WORD = {
    ":cellRenderer": "stateCell",
    ":filterValueGetter": "p => stateWord(p.context, p.data.state)",
    ":getQuickFilterText": "p => stateWord(p.context, p.value)",
}
"""Found by the word that is shown."""


class Trials:
    """One row per trial; a click opens it."""

    def __init__(self, job: Job) -> None:
        columns: list[dict[str, Any]] = [
            {
                **number_column("number", "Trial", 90),
                ":valueFormatter": "p => '#' + p.value",
                ":getQuickFilterText": "p => '#' + p.value",
                ":cellRenderer": "linkCell",
            },
            text_column("state", "State", width=140, **_BY_WORD),
            number_column("step", "Epoch", 90),
            *(number_column(f"m.{one}", one, 125) for one in metric_names(job.spec)),
            {
                **number_column("seconds", "Seconds", 105),
                ":valueFormatter": "p => p.value === null ? '' : p.value.toFixed(1)",
            },
            number_column("attempts", "Attempts", 120),
            text_column("values", "Candidate", minWidth=260, flex=2),
            text_column("reason", "Why", minWidth=160, flex=1),
        ]
        with card("Trials"):
            with box("row spread"):
                self._said = Text("p", "", "muted small said")
                with box("tools"):
                    search = box("field", "input").style("max-width: 220px")
                    search.props.update({"type": "search", "placeholder": "Filter", "aria-label": "Filter the trials"})
                    compare = Text("button", "Compare", "plain compares")
                    compare.props["type"], compare.props["title"] = "button", f"Choose 2 to {MOST} trials first"
                    compare.props["disabled"] = True
                    save = Text("button", "CSV", "plain")
                    save.props["type"], save.props["title"] = "button", "Download all trials that the filters match"
            opens = f"{PATH}/jobs/{job.id}/trials/"
            self._grid = Grid("Trials", columns, "trials-grid", topic=job.id, opens=opens, selects=True)
        search.on(
            "input", lambda event: self._grid.filter(event.args), js_handler="e => emit(e.target.value)", throttle=0.2
        )
        compare.on("click", js_handler=f"() => compareChosen({self._grid.element.id}, {json.dumps(job.id)})")
        path = f"{PATH}/exports/{job.id}/matching"
        fetch = f"e => takeMatching(e.currentTarget, {self._grid.element.id}, {json.dumps(path)}).then({TELL})"
        save.on("click", complain, js_handler=fetch)

    def show(self, view: JobView) -> None:
        shown = len(view.trials)
        more = (
            f"the newest {MOST_TRIALS:,} and the best of {view.total:,}; CSV holds all that the filters match"
            if view.total > shown
            else ""
        )
        self._said.say(more or f"{shown:,} in all")
        self._grid.show(view.rows)


class Events:
    """What happened, the newest first."""

    def __init__(self) -> None:
        self._lines: dict[int, Element] = {}
        with card("Events", f"The newest {_SHOWN_EVENTS}, with their reasons; measurements are left out."):
            self._list = box("events small stack")
            self._list.props["tabindex"] = "0"

    def show(self, view: JobView) -> None:
        told = view.once("told", lambda one: [event for event in one.events if event.kind != "trial.measured"])
        told = told[:_SHOWN_EVENTS]
        new = [event for event in told if event.sequence not in self._lines]
        for event in reversed(new):
            with self._list:
                self._lines[event.sequence] = line = self._line(event, view)
            line.move(target_index=0)
        for sequence in self._lines.keys() - {event.sequence for event in told}:
            self._lines.pop(sequence).delete()

    def _line(self, event: Event, view: JobView) -> Element:
        number = view.numbers.get(event.trial_id) if event.trial_id else None
        with box("row") as line:
            with box("muted"):
                Moment(event.at)
            Text("span", words.of_event(event, number, view.spec), "wrap")
        return line

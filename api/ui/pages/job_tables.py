"""The tables of a job page: its trials, and what happened to it."""

from __future__ import annotations

from typing import Any

from api.cli import text
from api.ui import words
from api.ui.compare_view import MOST
from api.ui.grids import Grid, number_column
from api.ui.job_view import MOST_TRIALS, JobView
from api.ui.numbers import known, metric_names
from api.ui.pages.compare import reference
from api.ui.parts import Moment, Text, box, card
from api.ui.session import PATH
from searchsvc.domain import Job, Trial

_SHOWN_EVENTS = 100


class Trials:
    """One row per trial; a click opens it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._metrics = metric_names(job.spec)
        columns: list[dict[str, Any]] = [
            {
                **number_column("number", "Trial", 90),
                ":valueFormatter": "p => '#' + p.value",
                ":cellRenderer": "linkCell",
            },
            {"field": "state", "headerName": "State", ":cellRenderer": "stateCell", "width": 140},
            number_column("step", "Epoch", 90),
            *(number_column(f"m.{one}", one, 125) for one in self._metrics),
            {
                **number_column("seconds", "Seconds", 105),
                ":valueFormatter": "p => p.value === null ? '' : p.value.toFixed(1)",
            },
            number_column("attempts", "Attempts", 120),
            {"field": "values", "headerName": "Candidate", "minWidth": 260, "flex": 2},
            {"field": "reason", "headerName": "Why", "minWidth": 160, "flex": 1},
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
                    save.props["type"], save.props["title"] = "button", "Download the rows that are shown"
            self._grid = Grid("Trials", columns, "trials-grid", selects=True)
        search.on(
            "input", lambda event: self._grid.filter(event.args), js_handler="e => emit(e.target.value)", throttle=0.2
        )
        compare.on("click", js_handler=f"() => compareChosen({self._grid.element.id})")
        save.on("click", lambda: self._grid.save(f"{job.name}.csv"))

    def show(self, view: JobView) -> None:
        shown = len(view.trials)
        more = (
            f"the newest {MOST_TRIALS:,} of {view.total:,}; searchctl export writes all" if view.total > shown else ""
        )
        self._said.say(more or f"{shown:,} in all")
        self._grid.show({str(number): self._row(trial, number in view.front) for number, trial in view.trials.items()})

    def _row(self, trial: Trial, on_front: bool) -> dict[str, Any]:
        values = known(trial)
        reason = " ".join(filter(None, (trial.failure and trial.failure.value, trial.reason)))
        return {
            "href": f"{PATH}/jobs/{self._job.id}/trials/{trial.number}",
            "reference": reference(trial),
            "number": trial.number,
            "state": trial.state.value,
            "step": trial.step,
            **{f"m.{one}": values.get(one) for one in self._metrics},
            "seconds": trial.seconds,
            "attempts": trial.attempts,
            "values": text.values(trial.values) if trial.is_candidate else "the supernet",
            "reason": reason or ("on the Pareto front" if on_front else ""),
        }


class Events:
    """What happened, the newest first."""

    def __init__(self) -> None:
        self._newest = -1
        with card("Events", f"The newest {_SHOWN_EVENTS}, with their reasons; measurements are left out."):
            self._list = box("events small stack")
            self._list.props["tabindex"] = "0"

    def show(self, view: JobView) -> None:
        told = [one for one in view.events if one.kind != "trial.measured"][:_SHOWN_EVENTS]
        newest = told[0].sequence if told else 0
        if newest == self._newest:
            return
        self._newest = newest
        numbers = {trial.id: number for number, trial in view.trials.items()}
        self._list.clear()
        with self._list:
            for event in told:
                with box("row"):
                    with box("muted"):
                        Moment(event.at)
                    number = numbers.get(event.trial_id) if event.trial_id else None
                    Text("span", words.of_event(event, number, view.spec), "wrap")

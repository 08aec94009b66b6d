"""The jobs page: all jobs in one live table."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from nicegui import ui

from api.cli import text
from api.ui.board import MOST_JOBS, BoardView
from api.ui.desk import Desk
from api.ui.frame import follow, framed
from api.ui.grids import Grid, number_column
from api.ui.numbers import cost_words, ended
from api.ui.parts import Text, box
from api.ui.session import PATH, Visitor
from searchsvc.service import JobSummary, Scope

COLUMNS: list[dict[str, Any]] = [
    {"field": "name", "headerName": "Job", ":cellRenderer": "linkCell", "minWidth": 130, "flex": 2, "pinned": None},
    {"field": "state", "headerName": "State", ":cellRenderer": "stateCell", "width": 125},
    {
        "field": "share",
        "headerName": "Progress",
        ":cellRenderer": "barCell",
        "minWidth": 155,
        "flex": 1,
        "filter": False,
    },
    {"field": "metric", "headerName": "Metric", "width": 100},
    number_column("best", "Best value", 115),
    number_column("pace", "Trials/min", 110),
    {**number_column("cost", "Cost", 135), "filter": False, ":valueFormatter": "p => p.data.cost_words"},
    {"field": "left", "headerName": "Time left", "width": 105, "filter": False, "sortable": False},
    {"field": "algorithm", "headerName": "Algorithm", "width": 110},
    {"field": "owner", "headerName": "By", "width": 85},
    {
        "field": "created",
        "headerName": "Submitted",
        "width": 165,
        "filter": False,
        ":valueFormatter": "p => new Date(p.value * 1000).toLocaleString(undefined, "
        "{dateStyle: 'medium', timeStyle: 'short'})",
    },
]


def register() -> None:
    ui.page("/", response_timeout=30)(jobs_page)


async def jobs_page(request: Request) -> Response | None:
    return await framed(request, "Jobs", "Jobs", build)


async def build(desk: Desk, visitor: Visitor) -> None:
    """The table, or how to start where there is nothing to put into it."""
    with box("row spread"):
        Text("h1", "Jobs")
        said = Text("p", "", "muted said")
        said.props["aria-live"] = "polite"
    empty = _empty(visitor)
    grid = Grid("Jobs", COLUMNS, "jobs-grid", auto_height=True)

    def show(view: BoardView) -> None:
        empty.set_visibility(not view.jobs)
        grid.element.set_visibility(bool(view.jobs))
        said.say(_said(view))
        grid.show({job_id: row(summary) for job_id, summary in view.jobs.items()})

    empty.set_visibility(False)
    follow(desk.board, show)


def _empty(visitor: Visitor) -> Any:
    with box("card empty") as empty:
        Text("h2", "There are no jobs yet")
        if visitor.may(Scope.SUBMIT):
            Text("p", "A job is a search: a space, what to reach, a budget. Start one from a terminal:")
            Text("pre", "searchctl submit examples/digits.yaml")
            Text("p", "It appears here as soon as it is submitted.", "muted")
        else:
            Text("p", "Jobs appear here as soon as somebody submits one. Your token can look, not submit.", "muted")
    return empty


def _said(view: BoardView) -> str:
    running = sum(not one.job.state.is_final for one in view.jobs.values())
    if view.there_are_more:
        return f"the newest {MOST_JOBS}, {running} of them not over"
    return f"{len(view.jobs)} in all, {running} not over" if view.jobs else ""


def row(summary: JobSummary) -> dict[str, Any]:
    """A job as the table holds it."""
    job, spec = summary.job, summary.job.spec
    metric, done = spec.objectives[0].metric, ended(summary)
    return {
        "href": f"{PATH}/jobs/{job.id}",
        "name": job.name,
        "state": job.state.value,
        "share": done / spec.budget.trials,
        "progress": f"{done}/{spec.budget.trials}",
        "metric": metric,
        "best": (summary.best.metrics or {}).get(metric) if summary.best else None,
        "pace": None if job.state.is_final else summary.trials_per_minute,
        "cost": summary.gpu_hours if spec.resources.gpu else summary.cpu_hours,
        "cost_words": cost_words(summary),
        "left": text.duration(summary.eta_seconds) if summary.eta_seconds else "",
        "algorithm": spec.algorithm.name,
        "owner": job.owner or "",
        "created": job.created_at,
    }

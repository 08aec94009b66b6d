"""The jobs page: all jobs in a live table."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from nicegui import ui

from api import text
from api.ui.context import JOB_LIST, PageContext
from api.ui.frame import follow, framed
from api.ui.live.job_list import MOST_JOBS, JobListView
from api.ui.parts.widgets import Text, box, link
from api.ui.session import PATH, Visitor
from api.ui.tables.grids import Grid, number_column
from searchsvc.service.system.tokens import Scope

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
    {**number_column("cost", "Cost", 135), "filter": False, ":valueFormatter": "p => p.data.cost_text"},
    {"field": "left", "headerName": "Time left", "width": 105, "filter": False, "sortable": False},
    {"field": "tags", "headerName": "Tags", "width": 110},
    {"field": "algorithm", "headerName": "Algorithm", "width": 110},
    {"field": "owner", "headerName": "Owner", "width": 85},
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


async def build(context: PageContext, visitor: Visitor) -> None:
    """Lay out the table, or instructions if there are no jobs."""
    with box("row spread"):
        Text("h1", "Jobs")
        status = Text("p", "", "muted status-line")
        status.props["aria-live"] = "polite"
        if visitor.may(Scope.SUBMIT):
            link("New job", f"{PATH}/jobs/new", "primary")
    empty = _empty(visitor)
    grid = Grid("Jobs", COLUMNS, "jobs-grid", topic=JOB_LIST, opens=f"{PATH}/jobs/", auto_height=True)

    def show(view: JobListView) -> None:
        empty.set_visibility(not view.jobs)
        grid.element.set_visibility(bool(view.jobs))
        status.set_text(_status_text(view))
        grid.show(view.rows)

    empty.set_visibility(False)
    follow(context.job_list, show)


def _empty(visitor: Visitor) -> Any:
    with box("card empty") as empty:
        Text("h2", "No jobs yet")
        if visitor.may(Scope.SUBMIT):
            Text("p", "A job is a search: a space, objectives and a budget. Submit one here or from a terminal:")
            link("New job", f"{PATH}/jobs/new", "primary")
            Text("pre", "searchctl submit examples/digits.yaml")
            Text("p", "It appears here as soon as it is submitted.", "muted")
        else:
            Text("p", "Jobs appear here as soon as someone submits one. Your token can only read.", "muted")
    return empty


def _status_text(view: JobListView) -> str:
    running = sum(not one.job.state.is_final for one in view.jobs.values())
    if view.there_are_more:
        return f"newest {MOST_JOBS} jobs, {running} active"
    return f"{text.numbered(len(view.jobs), 'job')}, {running} active" if view.jobs else ""

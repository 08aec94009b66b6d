"""The job page: one job, live."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import ui

from api.ui.desk import Desk
from api.ui.frame import follow, framed
from api.ui.job_view import JobView
from api.ui.pages import job_charts, job_head, job_parameters, job_tables, job_time
from api.ui.parts import box
from api.ui.session import Visitor


def register() -> None:
    ui.page("/jobs/{job}", response_timeout=30)(job_page)


async def job_page(request: Request, job: str) -> Response | None:
    async def build(desk: Desk, visitor: Visitor) -> None:
        found = await desk.ask(desk.service.job, job)
        ui.page_title(f"{found.name} - searchsvc")
        head = job_head.Head(desk, visitor, found)
        with box("grid"):
            charts = job_charts.make(desk, found)
        panels = (
            job_parameters.Parameters(desk, found),
            job_time.Supernet(desk, found),
            job_time.Timeline(desk, found),
        )
        tables = (job_tables.Trials(found), job_tables.Events())

        def show(view: JobView) -> None:
            for part in (head, *charts, *panels, *tables):
                part.show(view)

        follow(desk.job(found.id), show)

    return await framed(request, "Job", "", build)

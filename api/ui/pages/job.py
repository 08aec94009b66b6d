"""The job page: one job, live."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import ui

from api.ui.desk import Desk
from api.ui.frame import follow, framed
from api.ui.job_view import JobView
from api.ui.pages import job_charts, job_head, job_parameters, job_recommend, job_tables, job_time
from api.ui.parts import box, link
from api.ui.session import PATH, Visitor
from searchsvc.service import Scope


def register() -> None:
    ui.page("/jobs/{job}", response_timeout=30)(job_page)


async def job_page(request: Request, job: str) -> Response | None:
    async def build(desk: Desk, visitor: Visitor) -> None:
        found = await desk.ask(desk.service.job, job)
        ui.page_title(f"{found.name} - searchsvc")
        head = job_head.Head(desk, visitor, found, await desk.ask(desk.service.export_formats, found.id))
        if visitor.may(Scope.SUBMIT) and await desk.ask(desk.service.can_be_doubted, found):
            link("Look at the labels of its validation images", f"{PATH}/jobs/{found.id}/relabel", "small")
        with box("grid"):
            charts = job_charts.make(desk, found)
        panels = (
            job_parameters.Parameters(desk, found),
            job_time.Supernet(desk, found),
            job_time.Timeline(desk, found),
        )
        asked = [job_recommend.Recommend(desk, visitor, found)] if visitor.may(Scope.SUBMIT) else []
        tables = (job_tables.Trials(found), job_tables.Events())

        def show(view: JobView) -> None:
            for part in (head, *charts, *panels, *asked, *tables):
                part.show(view)

        follow(desk.job(found.id), show)

    return await framed(request, "Job", "", build)

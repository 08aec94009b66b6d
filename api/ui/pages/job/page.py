"""The job page: one job, live."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import ui

from api.ui.context import PageContext
from api.ui.frame import follow, framed
from api.ui.live.job_view import JobView
from api.ui.pages.job import chart as job_charts
from api.ui.pages.job import head as job_head
from api.ui.pages.job import parameters as job_parameters
from api.ui.pages.job import recommend as job_recommend
from api.ui.pages.job import timeline as job_time
from api.ui.pages.job import trials as job_tables
from api.ui.parts.widgets import box, link
from api.ui.session import PATH, Visitor
from searchsvc.service.system.tokens import Scope


def register() -> None:
    ui.page("/jobs/{job}", response_timeout=30)(job_page)


async def job_page(request: Request, job: str) -> Response | None:
    async def build(context: PageContext, visitor: Visitor) -> None:
        found = await context.ask(context.service.jobs.get, job)
        ui.page_title(f"{found.name} - searchsvc")
        head = job_head.Head(context, visitor, found, await context.ask(context.service.exports.formats, found.id))
        if visitor.may(Scope.SUBMIT) and await context.ask(context.service.labels.can_be_doubted, found):
            link("Review the labels of the validation images", f"{PATH}/jobs/{found.id}/relabel", "small")
        with box("grid"):
            charts = job_charts.make(context, found)
        panels = (
            job_parameters.Parameters(context, found),
            job_time.Supernet(context, found),
            job_time.Timeline(context, found),
        )
        asked = [job_recommend.Recommend(context, visitor, found)] if visitor.may(Scope.SUBMIT) else []
        tables = (job_tables.Trials(found), job_tables.Events())

        def show(view: JobView) -> None:
            for part in (head, *charts, *panels, *asked, *tables):
                part.show(view)

        follow(context.job(found.id), show)

    return await framed(request, "Job", "", build)

"""The job page, which follows a job live."""

from __future__ import annotations

from fastapi import Request, Response
from nicegui import ui

from api.ui.context import PageContext
from api.ui.frame import follow, framed
from api.ui.live.job_view import JobView
from api.ui.pages.job.charts import JobPanel, job_charts
from api.ui.pages.job.events import EventsPanel
from api.ui.pages.job.head import JobHead
from api.ui.pages.job.parameters import ParametersPanel
from api.ui.pages.job.recommend import RecommendPanel
from api.ui.pages.job.supernet import SupernetPanel
from api.ui.pages.job.timeline import TimelinePanel
from api.ui.pages.job.trials import TrialsPanel
from api.ui.parts.widgets import box, link
from api.ui.session import PATH, Visitor
from searchsvc.domain import Job
from searchsvc.service.system.tokens import Scope


def register() -> None:
    ui.page("/jobs/{job}", response_timeout=30)(job_page)


async def job_page(request: Request, job: str) -> Response | None:
    async def build(context: PageContext, visitor: Visitor) -> None:
        shown = await context.call(context.service.jobs.get, job)
        ui.page_title(f"{shown.name} - searchsvc")
        panels = await _lay_out(context, visitor, shown)

        def show(view: JobView) -> None:
            for panel in panels:
                panel.show(view)

        follow(context.job(shown.id), show)

    return await framed(request, "Job", "", build)


async def _lay_out(context: PageContext, visitor: Visitor, job: Job) -> list[JobPanel]:
    """Lay out the panels of a job from top to bottom, those that the visitor's token allows."""
    may_submit = visitor.may(Scope.SUBMIT)
    panels: list[JobPanel] = [
        JobHead(context, visitor, job, await context.call(context.service.exports.formats, job.id))
    ]
    if may_submit and await context.call(context.service.labels.can_be_doubted, job):
        link("Review the labels of the validation images", f"{PATH}/jobs/{job.id}/relabel", "small")
    with box("grid"):
        panels += job_charts(context, job)
    panels += [ParametersPanel(context, job), SupernetPanel(context, job), TimelinePanel(context, job)]
    if may_submit:
        panels.append(RecommendPanel(context, visitor, job))
    return [*panels, TrialsPanel(job), EventsPanel()]

"""Results of jobs, and exports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse

from api.rest.auth import can_read
from api.rest.deps import (
    PREFIX,
    JobRef,
    LogLines,
    LogOffset,
    PageSize,
    PageToken,
    ScratchFolder,
    ServiceDep,
    page,
    whole,
)
from api.rest.errors import answers
from api.rest.files import RANGES, READABLE, content
from api.rest.routes.trials import media_type
from api.rest.schemas.analysis import Importance
from api.rest.schemas.base import Page
from api.rest.schemas.distributions import Distributions
from api.rest.schemas.events import Log
from api.rest.schemas.gains import MeasuredGains
from api.rest.schemas.results import JobMeasurement, Round
from api.rest.schemas.trials import Trial
from searchsvc.domain.faults import Matching

router = APIRouter(
    prefix=f"{PREFIX}/jobs/{{job}}",
    tags=["results"],
    dependencies=[Depends(can_read)],
    responses=answers(401, 403, 404, 409, 422),
)


@router.get("/best", operation_id="list_best_trials")
def best(
    service: ServiceDep, job: JobRef, k: Annotated[int, Query(ge=1, le=1000, description="Number of trials.")] = 5
) -> Page[Trial]:
    """List the best trials by the first objective that keep every constraint."""
    return whole([Trial.of(trial) for trial in service.results.best(job, k)])


@router.get("/pareto", operation_id="list_pareto_front")
def pareto(service: ServiceDep, job: JobRef) -> Page[Trial]:
    """List the trials that no other trial dominates, best first by the first objective."""
    return whole([Trial.of(trial) for trial in service.results.front(job)])


@router.get("/rounds", operation_id="list_rounds")
def rounds(service: ServiceDep, job: JobRef) -> Page[Round]:
    """List the algorithm's reports on its rounds: the quality of its predictions, its decisions."""
    return whole([Round.of(report) for report in service.results.rounds(job)])


@router.get("/distributions", operation_id="get_distributions")
def distributions(service: ServiceDep, job: JobRef) -> Distributions:
    """Get the distribution over each parameter that the job's supernet has learned so far."""
    return Distributions.of(service.results.distributions(job))


@router.get("/report", operation_id="get_report")
def report(service: ServiceDep, job: JobRef) -> MeasuredGains:
    """Get the gain from pre-training, self-training and stronger augmentation by amount of data."""
    return MeasuredGains.of(service.results.gains(job))


@router.get("/importance", operation_id="get_importance")
def importance(
    service: ServiceDep,
    job: JobRef,
    metric: Annotated[
        str | None, Query(max_length=64, description="The metric; by default, the first objective.")
    ] = None,
) -> Importance:
    """Get the importance of each parameter for a metric, by the newest results (PED-ANOVA)."""
    return Importance.of(service.results.importance(job, metric))


@router.get("/measurements", operation_id="list_job_measurements")
def measurements(
    service: ServiceDep, job: JobRef, page_size: PageSize = 200, page_token: PageToken = None
) -> Page[JobMeasurement]:
    """List the measurements of all trials of a job, in the order in which they were stored."""
    return page(
        service.trials.measurements_of_job(job, page_size=page_size, page_token=page_token), JobMeasurement.of_row
    )


@router.get("/logs", operation_id="get_job_log")
def logs(service: ServiceDep, job: JobRef, offset: LogOffset = None, lines: LogLines = None) -> Log:
    """Get the log of the job's driver."""
    return Log.of(service.jobs.log(job, offset=offset, lines=lines))


@router.get(
    "/export",
    operation_id="export_job",
    response_class=FileResponse,
    responses={
        200: {"content": content(*READABLE), "description": "The file."},
        206: {"content": content(*READABLE, RANGES), "description": "A part of it, or several."},
    },
)
def export(
    service: ServiceDep,
    job: JobRef,
    scratch: ScratchFolder,
    format: Annotated[  # noqa: A002 - the word of the CLI
        str, Query(max_length=64, description="A name under `exports` of the job's task.", examples=["weights"])
    ],
    trial: Annotated[
        Annotated[str, Matching(r"^[0-9A-Fa-f-]+$", "be the number or the id of a trial")] | None,
        Query(max_length=36, description="Number or id; by default, the best trial."),
    ] = None,
) -> FileResponse:
    """Export a job as a file."""
    path = service.exports.write(job, format=format, destination=scratch, trial=trial)
    return FileResponse(path, media_type=media_type(path.name), filename=path.name)

"""Jobs: submit, list, read, control, delete."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response

from api.rest.auth import Submitter, can_read, can_submit
from api.rest.bodies import Document, optional_section, section, takes
from api.rest.deps import PREFIX, JobRef, PageSize, PageToken, RequestId, ServiceDep, page, request_id_of
from api.rest.errors import answers
from api.rest.schemas.base import Page
from api.rest.schemas.jobs import Consent, Extension, Job, JobDetail, JobPlan, NewJob
from searchsvc import domain
from searchsvc.domain import JobState
from searchsvc.errors import InvalidInput, StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.use_cases.jobs import JobService

router = APIRouter(prefix=f"{PREFIX}/jobs", tags=["jobs"], responses=answers(401, 403, 422))

ACTIONS: Mapping[str, tuple[Callable[..., domain.Job], str]] = {
    "pause": (JobService.pause, "End the running trials at once; they continue from their checkpoints after `resume`."),
    "resume": (JobService.resume, "Continue a paused job."),
    "stop": (JobService.stop, "Drain: no more trials start, running trials finish, then the job has SUCCEEDED."),
    "cancel": (JobService.cancel, "Kill: all open trials end at once as CANCELLED."),
    "retry": (JobService.retry, "Run only the FAILED trials again."),
}
CONSENTING = ("resume", "retry")
"""Actions that may start a job whose data have changed."""
LOCATION = {"Location": {"description": "The URL of the job.", "schema": {"type": "string"}}}


def out(service: Service, job: domain.Job) -> Job:
    """Return a job with the counts of its trials."""
    return Job.of_counts(job, service.jobs.trial_counts([job.id]).get(job.id, {}))


@router.post(
    "",
    operation_id="create_job",
    status_code=201,
    response_model=NewJob,
    responses={
        200: {"model": JobPlan, "description": "The plan, with `validate_only`."},
        201: {"headers": LOCATION},
        **answers(409, 413, 415),
    },
    openapi_extra=takes("JobSpec"),
)
def create(
    request: Request,
    response: Response,
    token: Submitter,
    service: ServiceDep,
    document: Document,
    request_id: RequestId,
    validate_only: Annotated[bool, Query(description="Only return the plan; nothing is stored or trained.")] = False,
) -> Any:
    """Submit a search."""
    if validate_only:
        return Response(JobPlan.of(service.jobs.plan(document)).model_dump_json(), media_type="application/json")
    job, _ = service.jobs.submit(document, owner=token, request_id=request_id)
    response.headers["Location"] = f"{request.url.path}/{job.id}"
    counts = service.jobs.trial_counts([job.id]).get(job.id, {})
    return NewJob.of_counts(job, counts, warnings=list(service.jobs.shortages(job)))


@router.get("", operation_id="list_jobs", dependencies=[Depends(can_read)])
def list_jobs(
    service: ServiceDep,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    name: Annotated[str | None, Query(max_length=128, description="Only jobs with this name.")] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Page[Job]:
    """List jobs, the newest first."""
    rows = service.jobs.page(state=state, name=name, page_size=page_size, page_token=page_token)
    counts = service.jobs.trial_counts([job.id for job in rows.items])
    return page(rows, lambda job: Job.of_counts(job, counts.get(job.id, {})))


@router.get("/{job}", operation_id="get_job", dependencies=[Depends(can_read)], responses=answers(404, 409))
def get(service: ServiceDep, job: JobRef) -> JobDetail:
    """Get a job with a summary of its results so far."""
    return JobDetail.of_summary(service.results.summary(job))


@router.delete(
    "/{job}",
    operation_id="delete_job",
    status_code=204,
    dependencies=[Depends(can_submit)],
    responses=answers(404, 409),
)
def delete(service: ServiceDep, job: JobRef, background: BackgroundTasks) -> None:
    """Delete a job that is not running, with its trials, weights and logs."""
    background.add_task(_remove_part, service, service.jobs.delete(job))


def _remove_part(service: Service, job_id: str) -> None:
    """Remove a small job completely; a controller removes the rest of a large job, and tries again after an error."""
    with contextlib.suppress(StoreUnavailable, OSError):
        service.jobs.remove_part(job_id)


def _action(verb: str, act: Callable[[JobService, str], domain.Job], about: str) -> None:
    def handler(service: ServiceDep, job: JobRef) -> Job:
        return out(service, act(service.jobs, job))

    _add_verb(verb, handler, about, 404, 409)


def _consenting(verb: str, act: Callable[..., domain.Job], about: str) -> None:
    def handler(
        service: ServiceDep, job: JobRef, consent: Annotated[Consent, Depends(optional_section(Consent))]
    ) -> Job:
        return out(service, act(service.jobs, job, **consent.model_dump()))

    _add_verb(verb, handler, about, 404, 409, 413, 415, openapi_extra=takes("Consent", required=False))


def _add_verb(verb: str, handler: Callable[..., Job], about: str, *statuses: int, **options: Any) -> None:
    handler.__doc__ = about
    router.post(
        f"/{{job}}:{verb}",
        operation_id=f"{verb}_job",
        name=verb,
        dependencies=[Depends(can_submit), Depends(request_id_of)],
        responses=answers(*statuses),
        **options,
    )(handler)


for _verb, (_act, _about) in ACTIONS.items():
    (_consenting if _verb in CONSENTING else _action)(_verb, _act, _about)


@router.post(
    "/{job}:extend",
    operation_id="extend_job",
    dependencies=[Depends(can_submit), Depends(request_id_of)],
    responses=answers(404, 409, 413, 415),
    openapi_extra=takes("Extension"),
)
def extend(service: ServiceDep, job: JobRef, budget: Annotated[Extension, Depends(section(Extension))]) -> Job:
    """Raise the budget of a job; a job that has ended continues."""
    return out(service, service.jobs.extend(job, **budget.model_dump()))


@router.post(
    "/{job}:clone",
    operation_id="clone_job",
    status_code=201,
    responses={201: {"headers": LOCATION}, **answers(404, 409, 413, 415)},
    openapi_extra=takes("Changes"),
)
def clone(
    request: Request,
    response: Response,
    token: Submitter,
    service: ServiceDep,
    job: JobRef,
    document: Document,
    request_id: RequestId,
) -> Job:
    """Submit a new job with the spec of this one, changed by a JSON merge patch (RFC 7396)."""
    if not isinstance(document, Mapping):
        raise InvalidInput.at("", "the changes are a mapping of keys of the spec to new values, or to null")
    new_job = service.jobs.clone(job, document, owner=token, request_id=request_id)
    response.headers["Location"] = f"{request.url.path.rpartition('/')[0]}/{new_job.id}"
    return out(service, new_job)

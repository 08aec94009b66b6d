"""Recommendations within other limits, and the transfer of recipes to other networks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.rest.auth import Submitter, can_read
from api.rest.bodies import section, takes
from api.rest.deps import PREFIX, JobRef, RequestId, ServiceDep
from api.rest.errors import answers
from api.rest.routes.jobs import LOCATION, out
from api.rest.schemas.jobs import Job
from api.rest.schemas.recommend import Advice, Limits, MeasuredTransfer, Transfer

router = APIRouter(prefix=f"{PREFIX}/jobs", tags=["results"], responses=answers(401, 403, 404, 409, 422))


@router.post(
    "/{job}:recommend",
    operation_id="recommend",
    responses={
        201: {"model": Advice, "headers": LOCATION, "description": "The new job, with `train`."},
        **answers(413, 415),
    },
    openapi_extra=takes("Limits"),
)
def recommend(
    request: Request,
    response: Response,
    token: Submitter,
    service: ServiceDep,
    job: JobRef,
    limits: Annotated[Limits, Depends(section(Limits))],
    request_id: RequestId,
) -> Advice:
    """Recommend the candidates predicted to be best within other limits. Nothing is trained unless `train` is set."""
    recommendations = service.recommendations.recommend(job, limits.constraints, k=limits.k)
    if not limits.train:
        return Advice.of(recommendations, None)
    new_job = service.recommendations.train(recommendations, owner=token, request_id=request_id)
    response.status_code = 201
    _locate(request, response, new_job.id)
    return Advice.of(recommendations, out(service, new_job))


@router.post(
    "/{job}:transfer",
    operation_id="transfer_recipes",
    status_code=201,
    responses={201: {"headers": LOCATION}, **answers(413, 415)},
    openapi_extra=takes("Transfer"),
)
def transfer(
    request: Request,
    response: Response,
    token: Submitter,
    service: ServiceDep,
    job: JobRef,
    body: Annotated[Transfer, Depends(section(Transfer))],
    request_id: RequestId,
) -> Job:
    """Submit a job that trains networks of another space with the recipes of this job and the default recipe."""
    new_job = service.recommendations.transfer(
        job, **body.model_dump(), owner=token, request_id=request_id
    )
    _locate(request, response, new_job.id)
    return out(service, new_job)


@router.get("/{job}/transfer", operation_id="get_transfer", dependencies=[Depends(can_read)])
def report(service: ServiceDep, job: JobRef) -> MeasuredTransfer:
    """Get the results of each recipe for each network so far, for a job created by `:transfer`."""
    return MeasuredTransfer.of(service.recommendations.transfer_report(job))


def _locate(request: Request, response: Response, job_id: str) -> None:
    response.headers["Location"] = f"{request.url.path.rpartition('/')[0]}/{job_id}"

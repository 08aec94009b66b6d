"""Trials with their measurements, attempts, files and logs."""

from __future__ import annotations

import mimetypes
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from pydantic import Field

from api.rest.auth import can_read
from api.rest.deps import (
    PREFIX,
    JobRef,
    LogLines,
    LogOffset,
    PageSize,
    PageToken,
    ServiceDep,
    TrialDep,
    TrialId,
    page,
    whole,
)
from api.rest.errors import answers
from api.rest.files import RANGES, READABLE, OpenFileResponse, content
from api.rest.schemas.analysis import Architecture
from api.rest.schemas.base import Page
from api.rest.schemas.events import Log
from api.rest.schemas.trials import Artifact, Attempt, Comparison, Measurement, Trial
from searchsvc.domain import TrialState
from searchsvc.domain.faults import Matching
from searchsvc.errors import InvalidInput

router = APIRouter(
    prefix=f"{PREFIX}/jobs/{{job}}/trials",
    tags=["trials"],
    dependencies=[Depends(can_read)],
    responses=answers(401, 403, 404, 409, 422),
)


by_id = APIRouter(
    prefix=PREFIX, tags=["trials"], dependencies=[Depends(can_read)], responses=answers(401, 403, 404, 409, 422)
)


Compared = Annotated[
    list[
        Annotated[
            str,
            Field(max_length=140),
            Matching(r"^[A-Za-z0-9][A-Za-z0-9 ._/-]*$", "be the id of a trial, or JOB/NUMBER"),
        ]
    ],
    Query(min_length=1, max_length=100, description="Trials, each as an id or job/number."),
]


class Order(StrEnum):
    """The order in which trials are listed."""

    NUMBER = "number"
    NEWEST = "newest"
    BEST = "best"


@router.get("", operation_id="list_trials")
def list_trials(
    service: ServiceDep,
    job: JobRef,
    state: Annotated[TrialState | None, Query(description="Only trials in this state.")] = None,
    order: Annotated[Order, Query(description="`best`: one page of the best, without `state`.")] = Order.NUMBER,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Page[Trial]:
    """List the trials of a job."""
    if order is Order.BEST:
        if state or page_token:
            raise InvalidInput.at("/order", "the best trials are a single page: leave out state and page_token")
        return whole([Trial.of(trial) for trial in service.results.best(job, page_size)])
    newest = order is Order.NEWEST
    rows = service.trials.page(job, state=state, newest_first=newest, page_size=page_size, page_token=page_token)
    return page(rows, Trial.of)


@router.get("/{trial}", operation_id="get_trial")
def get(trial: TrialDep) -> Trial:
    """Get a trial."""
    return Trial.of(trial)


@by_id.get("/trials/{trial_id}", operation_id="get_trial_by_id")
def get_by_id(service: ServiceDep, trial_id: TrialId) -> Trial:
    """Get a trial of any job."""
    return Trial.of(service.trials.get(trial_id))


@by_id.get("/trials:compare", operation_id="compare_trials")
def compare(service: ServiceDep, trials: Compared) -> Comparison:
    """Compare trials of a single job or of several."""
    return Comparison.of(service.trials.compare(trials))


@router.get("/{trial}/measurements", operation_id="list_measurements")
def measurements(service: ServiceDep, trial: TrialDep) -> Page[Measurement]:
    """List the measurements of a trial by step."""
    return whole([Measurement.of(measurement) for measurement in service.trials.measurements(trial.id)])


@router.get("/{trial}/attempts", operation_id="list_attempts")
def attempts(service: ServiceDep, trial: TrialDep) -> Page[Attempt]:
    """List the executions of a trial."""
    return whole([Attempt.of(attempt) for attempt in service.trials.attempts(trial.id)])


@router.get("/{trial}/architecture", operation_id="get_architecture")
def architecture(service: ServiceDep, trial: TrialDep) -> Architecture:
    """Get the network of a trial stage by stage, with exact costs."""
    return Architecture.of(service.trials.architecture(trial.id))


@router.get("/{trial}/logs", operation_id="get_trial_log")
def logs(service: ServiceDep, trial: TrialDep, offset: LogOffset = None, lines: LogLines = None) -> Log:
    """Get the training output of a trial."""
    return Log.of(service.trials.log(trial.id, offset=offset, lines=lines))


@router.get("/{trial}/artifacts", operation_id="list_artifacts")
def artifacts(service: ServiceDep, trial: TrialDep) -> Page[Artifact]:
    """List the files that a trial produced."""
    return whole([Artifact.of(record) for record in service.trials.artifacts(trial.id)])


@router.get(
    "/{trial}/artifacts/{artifact}",
    operation_id="download_artifact",
    response_class=FileResponse,
    responses={
        200: {"content": content(*READABLE), "description": "The file."},
        206: {"content": content(*READABLE, RANGES), "description": "A part of it, or several."},
    },
)
def download(
    service: ServiceDep,
    trial: TrialDep,
    artifact: Annotated[
        str, Matching(r"^[^/\x00]+$", "be the name of a file"), Path(max_length=255, description="Name of the file.")
    ],
) -> FileResponse:
    """Download a file, whole or by ranges."""
    file = service.trials.open_artifact(trial.id, artifact)
    return OpenFileResponse(file, media_type=media_type(artifact), filename=artifact)


def media_type(name: str) -> str:
    """Guess the media type from the name, without types that a browser might execute."""
    guessed = mimetypes.guess_type(name)[0] or ""
    return guessed if guessed in READABLE else "application/octet-stream"

"""Files of trials and exports of jobs, for readers who are signed in by a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from api.deps import JobRef, Scratch, TheService, TrialId
from api.routes import results, trials
from api.ui.session import PATH, secret_of

router = APIRouter(prefix=f"{PATH}/files", include_in_schema=False)


@router.get("/exports/{job}", response_class=FileResponse)
def export(request: Request, service: TheService, job: JobRef, scratch: Scratch, format: str) -> FileResponse:  # noqa: A002 - the word of REST
    """Raises Unauthenticated, NotFound, and Conflict where there is nothing to export yet."""
    service.authenticate(secret_of(request))
    return results.export(service, job, scratch, format)


@router.get("/{trial_id}/{artifact}", response_class=FileResponse)
def download(request: Request, service: TheService, trial_id: TrialId, artifact: str) -> FileResponse:
    """Raises Unauthenticated, NotFound."""
    service.authenticate(secret_of(request))
    return trials.download(service, service.trial(trial_id), artifact)

"""Files of trials, and images of datasets, for readers who are signed in by a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from api.deps import JobRef, TheService, TrialId
from api.labels import ImageNumber
from api.routes import trials
from api.ui.session import PATH, secret_of

router = APIRouter(prefix=f"{PATH}/files", include_in_schema=False)


@router.get("/{trial_id}/{artifact}", response_class=FileResponse)
def download(request: Request, service: TheService, trial_id: TrialId, artifact: str) -> FileResponse:
    """Raises Unauthenticated, NotFound."""
    service.authenticate(secret_of(request))
    return trials.download(service, service.trial(trial_id), artifact)


@router.get("/{job}/validation/{image}", response_class=Response)
def picture(request: Request, service: TheService, job: JobRef, image: ImageNumber) -> Response:
    """A validation image. Raises Unauthenticated, NotFound, Conflict."""
    service.authenticate(secret_of(request))
    return Response(
        service.picture(job, image), media_type="image/png", headers={"Cache-Control": "private, max-age=600"}
    )

"""Files of trials for readers who are signed in by a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from api.deps import TheService, TrialId
from api.routes import trials
from api.ui.pages.trial_files import PICTURE
from api.ui.session import PATH, secret_of

router = APIRouter(prefix=f"{PATH}/files", include_in_schema=False)


@router.get("/{trial_id}/{artifact}", response_class=FileResponse)
def download(
    request: Request, service: TheService, trial_id: TrialId, artifact: str, shown: bool = False
) -> FileResponse:
    """`shown`: a picture, to be part of a page. Raises Unauthenticated, NotFound."""
    service.authenticate(secret_of(request))
    found = trials.download(service, service.trial(trial_id), artifact)
    return FileResponse(found.path, media_type="image/png") if shown and artifact.endswith(PICTURE) else found

"""Files of trials for readers who are signed in by a cookie."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from api.deps import TheService, TrialId
from api.routes import trials
from api.ui.session import PATH, secret_of

router = APIRouter(prefix=f"{PATH}/files", include_in_schema=False)


@router.get("/{trial_id}/{artifact}", response_class=FileResponse)
def download(request: Request, service: TheService, trial_id: TrialId, artifact: str) -> FileResponse:
    """Raises Unauthenticated, NotFound."""
    service.authenticate(secret_of(request))
    return trials.download(service, service.trial(trial_id), artifact)

"""What pages fetch, for readers who are signed in by a cookie: files of trials, images, rows of large tables."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from api.deps import JobRef, TheService, TrialId
from api.labels import ImageNumber
from api.routes import trials
from api.ui.desk import Desk
from api.ui.session import PATH, secret_of

router = APIRouter(prefix=PATH, include_in_schema=False)


@router.get("/files/{trial_id}/{artifact}", response_class=FileResponse)
def download(request: Request, service: TheService, trial_id: TrialId, artifact: str) -> FileResponse:
    """Raises Unauthenticated, NotFound."""
    service.authenticate(secret_of(request))
    return trials.download(service, service.trial(trial_id), artifact)


@router.get("/files/{job}/validation/{image}", response_class=Response)
def picture(request: Request, service: TheService, job: JobRef, image: ImageNumber) -> Response:
    """A validation image. Raises Unauthenticated, NotFound, Conflict."""
    service.authenticate(secret_of(request))
    return Response(
        service.picture(job, image), media_type="image/png", headers={"Cache-Control": "private, max-age=600"}
    )


@router.get("/rows/{topic}")
async def rows(request: Request, topic: str) -> Response:
    """Raises Unauthenticated, NotFound."""
    desk: Desk = request.app.state.desk
    await desk.visitor(request)
    found = await desk.rows(topic)
    packed = await desk.ask(lambda: found.packed)
    headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store"}
    return Response(packed, media_type="application/json", headers=headers)

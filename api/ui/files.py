"""Downloads of pages, for visitors who are signed in by a cookie: files of trials, images, exports, table rows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from api.rest.deps import JobRef, ScratchFolder, ServiceDep, TrialId
from api.rest.files import OpenFileResponse
from api.rest.routes import results, trials
from api.rest.schemas.labels import ImageNumber
from api.ui.context import PageContext
from api.ui.pages.trial.files import PICTURE
from api.ui.session import PATH, secret_of
from api.ui.tables.row_filter import RowFilter
from api.ui.tables.rows import trial_row
from searchsvc.domain import Trial

router = APIRouter(prefix=PATH, include_in_schema=False)
Words = Annotated[str, Query(max_length=4000)]


@router.get("/exports/{job}", response_class=FileResponse)
def export(request: Request, service: ServiceDep, job: JobRef, scratch: ScratchFolder, format: str) -> FileResponse:  # noqa: A002 - the name in REST
    """Export a job. Raises Unauthenticated, NotFound, and Conflict if there is nothing to export yet."""
    service.access.authenticate(secret_of(request))
    return results.export(service, job, scratch, format)


@router.get("/exports/{job}/matching", response_class=FileResponse)
def matching_trials(
    request: Request,
    service: ServiceDep,
    job: JobRef,
    scratch: ScratchFolder,
    matching: Words = "",
    where: Words = "{}",
) -> FileResponse:
    """Export the trials that match the filters of the table. Raises Unauthenticated, NotFound, InvalidInput."""
    service.access.authenticate(secret_of(request))
    row_filter, spec = RowFilter.of(matching, where), service.jobs.get(job).spec
    front = {trial.number for trial in service.results.front(job)}

    def keep(trial: Trial) -> bool:
        return row_filter.keeps(trial_row(trial, spec, on_front=trial.number in front))

    path = service.exports.write(job, format="csv", destination=scratch, keep=keep)
    return FileResponse(path, media_type=trials.media_type(path.name), filename=path.name)


@router.get("/files/{trial_id}/{artifact}", response_class=FileResponse)
def download(
    request: Request, service: ServiceDep, trial_id: TrialId, artifact: str, shown: bool = False
) -> FileResponse:
    """Download a file. `shown`: the file is a picture inside a page. Raises Unauthenticated, NotFound."""
    service.access.authenticate(secret_of(request))
    if not (shown and artifact.endswith(PICTURE)):
        return trials.download(service, service.trials.get(trial_id), artifact)
    return OpenFileResponse(service.trials.open_artifact(trial_id, artifact), media_type="image/png")


@router.get("/files/{job}/validation/{image}", response_class=Response)
def picture(request: Request, service: ServiceDep, job: JobRef, image: ImageNumber) -> Response:
    """Get a validation image. Raises Unauthenticated, NotFound, Conflict."""
    service.access.authenticate(secret_of(request))
    return Response(
        service.labels.picture(job, image), media_type="image/png", headers={"Cache-Control": "private, max-age=600"}
    )


@router.get("/rows/{topic}")
async def rows(request: Request, topic: str) -> Response:
    """Get the table rows of a topic. Raises Unauthenticated, NotFound."""
    context: PageContext = request.app.state.page_context
    await context.visitor(request)
    table = await context.rows(topic)
    packed = await context.call(lambda: table.packed)
    headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store"}
    return Response(packed, media_type="application/json", headers=headers)

"""Events, as pages of JSON or as a stream."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from api.rest import sse
from api.rest.auth import can_read
from api.rest.deps import PREFIX, FeedDep, JobRef, PageSize, PageToken, ServiceDep, page
from api.rest.errors import answers
from api.rest.schemas.base import Page
from api.rest.schemas.events import Event
from searchsvc.domain.faults import Matching
from searchsvc.service.lookup.pagination import page_of
from searchsvc.service.service import Service

STREAM = "text/event-stream"
LARGEST = 2**63 - 1

router = APIRouter(prefix=PREFIX, tags=["events"], dependencies=[Depends(can_read)], responses=answers(401, 403, 422))
both_kinds: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Page[Event],
        "description": "A page of events; with `Accept: text/event-stream`, a stream of all events, past and future.",
        "content": {STREAM: {"schema": {"type": "string"}}},
    }
}

After = Annotated[
    Annotated[int, Field(ge=0, le=LARGEST)] | Literal["latest"],
    Query(description="Only events after this sequence number; `latest`: only future events."),
]
LastEventId = Annotated[
    Annotated[str, Matching(r"^[0-9]{1,18}$", "be the number of an event")] | None,
    Header(description="The event after which an interrupted stream continues; overrides `after`."),
]
UntilFinal = Annotated[bool, Query(description="End the stream after the last event of a job that has ended.")]


@router.get("/events", operation_id="list_all_events", response_model=None, responses=both_kinds)
def all_events(
    request: Request,
    service: ServiceDep,
    feed: FeedDep,
    after: After = 0,
    last_event_id: LastEventId = None,
    page_size: PageSize = 200,
    page_token: PageToken = None,
) -> Response | Page[Event]:
    """List the events of all jobs."""
    start = _start(service, after if last_event_id is None else int(last_event_id))
    if _wants_stream(request):
        return _stream(sse.stream(feed, start, None, None))
    return _page(service, start, None, page_size, page_token)


@router.get(
    "/jobs/{job}/events",
    operation_id="list_job_events",
    response_model=None,
    responses={**both_kinds, **answers(404, 409)},
)
def job_events(
    request: Request,
    service: ServiceDep,
    feed: FeedDep,
    job: JobRef,
    after: After = 0,
    last_event_id: LastEventId = None,
    until_final: UntilFinal = False,
    page_size: PageSize = 200,
    page_token: PageToken = None,
) -> Response | Page[Event]:
    """List the events of a job."""
    job_id = service.jobs.get(job).id
    start = _start(service, after if last_event_id is None else int(last_event_id))
    if _wants_stream(request):
        is_over = (lambda: service.jobs.get(job_id).state.is_final) if until_final else None
        return _stream(sse.stream(feed, start, job_id, is_over))
    return _page(service, start, job_id, page_size, page_token)


def _start(service: Service, after: int | Literal["latest"]) -> int:
    return service.events.last_sequence() if after == "latest" else after


def _wants_stream(request: Request) -> bool:
    return STREAM in request.headers.get("accept", "")


def _stream(chunks: sse.Chunks) -> StreamingResponse:
    # X-Accel-Buffering: a proxy must forward every event at once.
    return StreamingResponse(chunks, media_type=STREAM, headers={"X-Accel-Buffering": "no"})


def _page(service: Service, start: int, job: str | None, size: int, token: str | None) -> Page[Event]:
    rows = page_of(
        lambda after, limit: service.events.read(after=start if after is None else after, job_id=job, limit=limit),
        lambda event: event.sequence,
        kind=int,
        size=size,
        token=token,
        filters={"list": "events", "job": job},
    )
    return page(rows, Event.of)

"""Dependencies of routes: the service, the objects that a path names, pages."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Path, Query, Request

from api.rest.idempotency import KEY_PATTERN, LONGEST_KEY
from api.rest.schemas.base import Page
from api.rest.sse import Feed
from searchsvc import domain
from searchsvc.domain.faults import Matching
from searchsvc.errors import NotFound
from searchsvc.service.lookup.pagination import Page as Rows
from searchsvc.service.service import Service

PREFIX = "/api/v1"

R = TypeVar("R")
S = TypeVar("S")


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def feed_of(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


def scratch_folder() -> Iterator[FilePath]:
    """Yield a temporary folder that is removed after the response has been sent."""
    with tempfile.TemporaryDirectory(prefix="searchsvc-") as folder:
        yield FilePath(folder)


ServiceDep = Annotated[Service, Depends(service_of)]
FeedDep = Annotated[Feed, Depends(feed_of)]
ScratchFolder = Annotated[FilePath, Depends(scratch_folder)]

JobRef = Annotated[
    str,
    Matching(r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", "be the id or the name of a job"),
    Path(
        min_length=1,
        max_length=128,
        description="The job's id, its beginning (four characters or more), or its name (the newest such job).",
    ),
]
UUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
TrialRef = Annotated[
    str,
    Matching(rf"^([0-9]{{1,9}}|{UUID})$", "be the number or the id of a trial"),
    Path(description="The trial's number within its job, or its id."),
]
TrialId = Annotated[str, Matching(rf"^{UUID}$", "be the id of a trial"), Path(description="The trial's id.")]
TokenId = Annotated[str, Matching(rf"^{UUID}$", "be the id of a token"), Path(description="The token's id.")]
PageSize = Annotated[int, Query(ge=1, le=1000, description="Maximum number of rows on a page.")]
PageToken = Annotated[
    Annotated[str, Matching(r"^[A-Za-z0-9_-]*$", "be the `next_page_token` of a page")] | None,
    Query(max_length=512, description="`next_page_token` of the previous page."),
]
LogOffset = Annotated[
    int | None, Query(ge=0, le=2**63 - 1, description="Byte at which to start: `end` of the previous piece.")
]
LogLines = Annotated[int | None, Query(ge=0, le=100_000, description="Number of lines to return from the end.")]
IdempotencyKey = Annotated[
    Annotated[str, Matching(KEY_PATTERN, "hold visible ASCII characters only")] | None,
    Header(
        min_length=1,
        max_length=LONGEST_KEY,
        description="A unique key per operation; a repeated request with the same key is not executed twice.",
    ),
]


def request_id_of(request: Request, idempotency_key: IdempotencyKey = None) -> str | None:  # noqa: ARG001 - for OpenAPI
    """Return the id under which a repeated request finds what it has created; None for a request without a key."""
    found: str | None = getattr(request.state, "request_id", None)
    return found


RequestId = Annotated[str | None, Depends(request_id_of)]


def trial_of(service: ServiceDep, job: JobRef, trial: TrialRef) -> domain.Trial:
    """Return the trial that a path names. Raises NotFound, also if the trial belongs to another job."""
    if trial.isdecimal():
        return service.trials.get(f"{job}/{trial}")
    record = service.trials.get(trial)
    if record.job_id != service.jobs.get(job).id:
        raise NotFound(f"job {job} has no trial {trial}")
    return record


TrialDep = Annotated[domain.Trial, Depends(trial_of)]


def page(rows: Rows[R], convert: Callable[[R], S]) -> Page[S]:
    """Convert a page of records for the response."""
    return Page(items=[convert(row) for row in rows.items], next_page_token=rows.next_page_token)


def whole(items: list[S]) -> Page[S]:
    """Return a short list as a single page."""
    return Page(items=items, next_page_token=None)

"""Error responses: every error of the REST interface is an RFC 9457 problem (`application/problem+json`)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.problems import INTERNAL, INVALID, KINDS, ErrorKind, kind_of_status
from searchsvc.domain.faults import faults_at
from searchsvc.errors import Fault, InvalidInput, SearchsvcError, pointer

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

log = logging.getLogger(__name__)


class ProblemFault(BaseModel):
    """An invalid value of a request."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or `/name` of a parameter of the request.")
    message: str = Field(description="The error, and how to correct it.")


class ProblemDetails(BaseModel):
    """The problem details of an error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="The kind of problem: a stable identifier for programs.")
    title: str = Field(description="A short description of the kind.")
    status: int = Field(description="The HTTP status code.")
    detail: str = Field(description="A description of this occurrence.")
    instance: str = Field(description="The path of the request.")
    errors: list[ProblemFault] = Field(default=[], description="Every invalid value, if the input is invalid.")


SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
)
"""Headers of every response that does not set them itself."""


def install(app: FastAPI) -> None:
    """Register the handlers that turn every error of the app into a problem response."""
    app.add_exception_handler(SearchsvcError, response_to)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(ResponseValidationError, _failure)
    app.add_exception_handler(Exception, _failure)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's error responses: the responses of every route, and `statuses`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*statuses, 400, 429, 500, 503})
    }


def problem(
    request: Request,
    kind: ErrorKind,
    detail: str,
    *,
    faults: Iterable[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Create the response to an error."""
    body = ProblemDetails(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=printable(detail),
        instance=printable(request.url.path),
        errors=[ProblemFault(pointer=printable(fault.pointer), message=printable(fault.message)) for fault in faults],
    )
    return Response(body.model_dump_json(), kind.status, headers, MEDIA_TYPE)


def printable(text: str) -> str:
    """Replace lone surrogates, which cannot be encoded in UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def response_to(request: Request, error: Exception) -> Response:
    """Create the response to an error that searchsvc raised on purpose."""
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), INTERNAL)
    if kind is INTERNAL:
        return _failure(request, error)
    assert isinstance(error, SearchsvcError)
    faults = error.faults if isinstance(error, InvalidInput) else ()
    if kind.detail is not None:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return problem(request, kind, kind.detail or str(error), faults=faults, headers=_headers_of(kind.status, error))


def _headers_of(status: int, error: SearchsvcError) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="searchsvc"'}
    seconds = error.retry_after_seconds
    if seconds is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        seconds = RETRY_AFTER_SECONDS
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = faults_at((_pointer(detail["loc"]), detail) for detail in error.errors())
    return problem(request, INVALID, "; ".join(map(str, faults)), faults=faults)


def _pointer(location: Sequence[int | str]) -> str:
    """Convert a location: ("query", "page_size") becomes `/page_size`, since the name of a parameter is unique.

    After the name come the index in a list, and the members of a union, which are no part of the request.
    """
    return pointer(*location[1:2], *(step for step in location[2:] if isinstance(step, int)))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(request, kind_of_status(error.status_code), str(error.detail), headers=error.headers)


def _client_gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    return problem(request, kind_of_status(400), "the body ended before it was complete")


def _failure(request: Request, error: Exception) -> Response:
    """Respond without any detail, which is written to the log."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(request, INTERNAL, "the service failed on this request; its log says why", headers=SECURITY_HEADERS)

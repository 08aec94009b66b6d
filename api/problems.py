"""Kinds of problems (RFC 9457): the same for REST and for `searchctl --json`. It must load quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from searchsvc.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LimitExceeded,
    NotFound,
    NothingFeasible,
    RuntimeUnavailable,
    SearchsvcError,
    StoreOutdated,
    StoreUnavailable,
    Unauthenticated,
)


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A kind of problem: the last part of its type, its status and its title."""

    slug: str
    status: int
    title: str
    detail: str | None = None
    """Replaces the error's own message if that may contain private data such as the database's address."""


INVALID = ErrorKind("invalid-input", 422, "The input is not valid")
INTERNAL = ErrorKind("internal", 500, "The service failed")

KINDS: Mapping[type[SearchsvcError], ErrorKind] = MappingProxyType(
    {
        InvalidInput: INVALID,
        NothingFeasible: ErrorKind("nothing-feasible", 422, "No candidate keeps the hard constraints"),
        NotFound: ErrorKind("not-found", 404, "Not found"),
        Conflict: ErrorKind("conflict", 409, "Not possible in the current state"),
        Unauthenticated: ErrorKind("unauthenticated", 401, "A valid token is needed"),
        Forbidden: ErrorKind("forbidden", 403, "The scope of the token is not sufficient"),
        LimitExceeded: ErrorKind("limit-exceeded", 429, "A limit of the token is reached"),
        StoreUnavailable: ErrorKind("store-unavailable", 503, "The database does not answer", "try again in a while"),
        StoreOutdated: ErrorKind(
            "store-outdated",
            503,
            "The database schema is not the one of this version",
            "run `searchctl db upgrade`",
        ),
        RuntimeUnavailable: ErrorKind("runtime-unavailable", 503, "A part of the service cannot be reached"),
    }
)

OF_STATUS: Mapping[int, ErrorKind] = MappingProxyType(
    {
        kind.status: kind
        for kind in (
            ErrorKind("malformed", 400, "The request cannot be read"),
            ErrorKind("not-found", 404, "Not found"),
            ErrorKind("method-not-allowed", 405, "The method is not allowed here"),
            ErrorKind("too-large", 413, "The body is too large"),
            ErrorKind("unsupported-media-type", 415, "The media type of the body is not supported"),
            ErrorKind("range-not-satisfiable", 416, "The file has no such range"),
            ErrorKind("misdirected", 421, "This service does not answer to that name"),
        )
    }
)


def kind_of_status(status: int) -> ErrorKind:
    """Return the kind of an error that is known only by its HTTP status."""
    return OF_STATUS.get(status) or ErrorKind(f"http-{status}", status, HTTPStatus(status).phrase)

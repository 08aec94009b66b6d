"""Request bodies: JSON or YAML, limited in size, checked before use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from searchsvc.domain.faults import parse_section
from searchsvc.errors import InvalidInput
from searchsvc.service.documents import documents

M = TypeVar("M", bound=BaseModel)
_JSON = "application/json"


async def text_of(request: Request) -> bytes:
    """Read the whole body. Raises 413 as soon as it is too large, whatever its Content-Length."""
    chunks, size = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > documents.LARGEST_BYTES:
            raise HTTPException(413, f"a body has at most {documents.LARGEST_BYTES} bytes")
    return b"".join(chunks)


async def document_of(request: Request) -> Any:
    """Parse the body to plain data. Raises 413, 415, 400 if it is not JSON or YAML, InvalidInput for invalid values."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in READERS:
        raise HTTPException(415, f"send a body as {' or '.join(READERS)}, not as {media_type or 'nothing'}")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 15 or int(length) > documents.LARGEST_BYTES):
        raise HTTPException(413, f"a body has at most {documents.LARGEST_BYTES} bytes")
    return await run_in_threadpool(READERS[media_type], await text_of(request))


def read_json(text: bytes) -> Any:
    """Parse strict JSON: UTF-8, no NaN, no duplicate keys. Raises 400, InvalidInput."""
    try:
        return documents.checked(json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant))
    except RecursionError:
        raise HTTPException(400, "the document is nested too deeply") from None
    except ValueError as error:
        raise HTTPException(400, f"this is not JSON: {error}") from None


def read_yaml(text: bytes) -> Any:
    """Parse YAML. Raises 400, InvalidInput."""
    try:
        return documents.load_document(text)
    except InvalidInput as error:
        if any(fault.pointer for fault in error.faults):
            raise
        raise HTTPException(400, f"this is not YAML: {error}") from None


READERS: Mapping[str, Callable[[bytes], Any]] = MappingProxyType(
    {_JSON: read_json, "application/yaml": read_yaml}
)
_OTHERS = ", ".join(kind for kind in READERS if kind != _JSON)
Document = Annotated[Any, Depends(document_of)]


async def optional_document_of(request: Request) -> Any:
    """Parse the body as `document_of` does. Return an empty mapping if there is no body."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return await document_of(request) if has_body else {}


OptionalDocument = Annotated[Any, Depends(optional_document_of)]


def takes(schema: str, *, required: bool = True) -> dict[str, Any]:
    """Return the OpenAPI description of a body: a reference to a schema that `api.rest.openapi` adds.

    It lists JSON alone, since generators of clients refuse an operation with a media type that they cannot write.
    """
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {
        "requestBody": {
            "required": required,
            "description": f"Also accepted: {_OTHERS}.",
            "content": {_JSON: reference},
        }
    }


def section(model: type[M]) -> Callable[[Any], M]:
    """Return a dependency that validates the body as `model`. Raises InvalidInput with pointers."""

    def read(document: Document) -> M:
        return _parsed(model, document)

    return read


def optional_section(model: type[M]) -> Callable[[Any], M]:
    """Return a dependency that validates the body as `model`, and returns its defaults if there is no body."""

    def read(document: OptionalDocument) -> M:
        return _parsed(model, document)

    return read


def _parsed(model: type[M], document: object) -> M:
    if not isinstance(document, Mapping):
        raise InvalidInput.at("", "the body is a mapping of keys to values")
    return parse_section(model, document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r:.80} occurs twice")
    return mapping


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")

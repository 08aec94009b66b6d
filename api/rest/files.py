"""Responses with the content of a file that is already open."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

READABLE = ("application/json", "text/csv", "text/plain")
"""Media types of files that a browser may show."""
RANGES = "multipart/byteranges"
_BYTES = {"schema": {"type": "string", "format": "binary"}}


def content(*kinds: str) -> dict[str, Any]:
    """Return the OpenAPI description of a file's content, of any of the media types.

    Bytes without a type come first: a generator of clients takes the first media type that it can read.
    """
    return dict.fromkeys(("application/octet-stream", *kinds), _BYTES)


class OpenFileResponse(FileResponse):
    """Sends an open file, whole or by ranges, and closes it.

    A file that was opened by its path again could be another file by then.
    """

    def __init__(self, file: BinaryIO, *, media_type: str, filename: str | None = None) -> None:
        descriptor = file.fileno()
        status = os.fstat(descriptor)
        super().__init__(f"/dev/fd/{descriptor}", media_type=media_type, filename=filename, stat_result=status)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)

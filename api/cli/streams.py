"""The standard streams: any encoding, closed, full, or a pipe whose reader has gone."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

_STREAMS = 3


class _ClosedStream(io.TextIOBase):
    """Standard output that was closed before the command started: each write fails, as it does for other programs."""

    def write(self, _text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def prepare() -> None:
    """Make the standard streams usable, whatever the command was started with.

    A file that the command opens must not take the number of a closed stream: what is printed would end up in it.
    Characters that the encoding of a stream lacks are written as escapes.
    """
    for descriptor in range(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    sys.stdout = sys.stdout or _ClosedStream()
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the same
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_unicode(stream: TextIO) -> bool:
    """Return whether a stream can hold every character."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def discard(stream: TextIO) -> None:
    """Send a stream that cannot be written to nowhere: Python flushes it once more when the process ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def finish() -> None:
    """Flush what is left, and let no failure of it change the exit code of a command that has failed already."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            discard(stream)

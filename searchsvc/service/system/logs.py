"""Log files, read in pieces of at most 1 MB."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from searchsvc import files
from searchsvc.errors import NotFound

_MOST_BYTES = 1_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log."""

    text: str
    end: int
    """The byte of the file at which the next piece begins."""


def read_part(root: Path, path: Path, offset: int | None, lines: int | None) -> LogPart:
    """Read the log at `path` below `root` from byte `offset`, or its last `lines`.

    An offset beyond the end is of a log that has been rotated since: the new log is read from its start. Raises
    NotFound if the log does not exist yet, or something else is in its place.
    """
    try:
        file = files.open_below(root, path.relative_to(root))
    except FileNotFoundError:
        raise NotFound(f"there is no log yet: {path.name} is written when the work starts") from None
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning("%s is not read: %s", path, reason)
        raise NotFound(f"the log {path.name} is not read: {reason}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if offset is not None and offset > size:
            offset = 0  # the log has been rotated since the last piece
        start = max(0, size - _MOST_BYTES) if offset is None else max(0, offset)
        file.seek(start)
        data = file.read(_MOST_BYTES)
    if lines is not None:
        data = b"".join(data.splitlines(keepends=True)[-lines:]) if lines > 0 else b""
        return LogPart(data.decode(errors="replace"), size)
    return LogPart(data.decode(errors="replace"), start + len(data))

"""Log files, read in pieces of at most 1 MB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchsvc.errors import NotFound

_MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log."""

    text: str
    end: int
    """The byte of the file at which the next piece begins."""


def read_part(path: Path, offset: int | None, lines: int | None) -> LogPart:
    """Read from byte `offset`, or the last `lines`. Raises NotFound if the log does not exist yet."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise NotFound(f"there is no log yet: {path.name} is written when the work starts") from None
    start = max(0, size - _MOST_BYTES) if offset is None else min(max(0, offset), size)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(_MOST_BYTES)
    if lines is not None:
        data = b"".join(data.splitlines(keepends=True)[-lines:]) if lines > 0 else b""
        return LogPart(data.decode(errors="replace"), size)
    return LogPart(data.decode(errors="replace"), start + len(data))

"""Latency tables by name, stored as files in the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from searchsvc.domain.spec import TableName
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.settings import Settings
from searchsvc.spaces.costs.latency import LatencyTable

_NAME = TypeAdapter(TableName)


def find(settings: Settings, reference: str) -> tuple[str, LatencyTable]:
    """Find a table by its name, or by its name with a digest. Return the reference with the digest, and the table.

    Raises InvalidInput if no table has that name, its file is not valid, or the table has another digest.
    """
    name, _, digest = reference.partition("@")
    path = _path(settings, name)
    try:
        table = LatencyTable.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        names = ", ".join(path.stem for path in _paths(settings)) or "none: `searchctl latency` measures one"
        raise InvalidInput.at("", f"no latency table {name!r}; there are {names}") from None
    except OSError as error:
        raise InvalidInput.at("", f"{path} cannot be read: {error.strerror}") from None
    if digest not in ("", table.digest):
        message = f"the table {name} had the digest {digest} when it was chosen; its digest is {table.digest} now"
        raise InvalidInput.at("", f"{message}: put the old file back, or submit a new job")
    return f"{name}@{table.digest}", table


def check_name(settings: Settings, name: str, *, replace: bool) -> None:
    """Raise InvalidInput if the name is not valid, and Conflict if a table has it and may not be replaced."""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        message = "use at most 64 letters, digits, `.`, `_` and `-`, and begin with a letter or digit"
        raise InvalidInput.at("/name", message) from None
    if not replace and _path(settings, name).exists():
        raise Conflict(f"there is a latency table {name}: a job may use it; choose another name, or pass --replace")


def save(settings: Settings, name: str, table: LatencyTable) -> Path:
    """Store a table under a name, replacing an earlier table with that name."""
    path = _path(settings, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(table.serialised)
    temporary.replace(path)
    return path


def every(settings: Settings) -> Iterator[tuple[str, LatencyTable]]:
    """Yield (name, table) for all tables in alphabetical order. Raises InvalidInput if a file is not valid."""
    yield from ((path.stem, LatencyTable.parse(path.read_bytes(), str(path))) for path in _paths(settings))


def _path(settings: Settings, name: str) -> Path:
    return settings.latency_dir / f"{name}.json"


def _paths(settings: Settings) -> list[Path]:
    return sorted(settings.latency_dir.glob("*.json"))

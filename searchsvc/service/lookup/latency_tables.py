"""Latency tables by name: files in the data folder."""

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
    """(reference with the digest, table) of a name, or of a name with a digest.

    Raises InvalidInput where there is none of that name, its file is not valid, or it is not the one of the digest.
    """
    name, _, digest = reference.partition("@")
    path = _path(settings, name)
    try:
        table = LatencyTable.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        there = ", ".join(one.stem for one in _paths(settings)) or "none: `searchctl latency` makes one"
        raise InvalidInput.at("", f"no latency table {name!r}; there are {there}") from None
    except OSError as error:
        raise InvalidInput.at("", f"{path} cannot be read: {error.strerror}") from None
    if digest not in ("", table.digest):
        message = f"the table {name} was another one ({digest}) when it was chosen; it is {table.digest} now"
        raise InvalidInput.at("", f"{message}: put the old file back, or submit a new job")
    return f"{name}@{table.digest}", table


def check_name(settings: Settings, name: str, *, replace: bool) -> None:
    """Raise InvalidInput where no table can have the name, Conflict where one has it that is not to be replaced."""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise InvalidInput.at("/name", "letters, digits, `.`, `_` and `-`, at most 64, the first no sign") from None
    if not replace and _path(settings, name).exists():
        raise Conflict(f"there is a latency table {name}: a job may use it; choose another name, or say --replace")


def save(settings: Settings, name: str, table: LatencyTable) -> Path:
    """Keep a table under a name; one that was there is replaced."""
    path = _path(settings, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_suffix(f".{os.getpid()}.tmp")
    made.write_bytes(table.serialised)
    made.replace(path)
    return path


def every(settings: Settings) -> Iterator[tuple[str, LatencyTable]]:
    """(name, table) of all, in alphabetical order. Raises InvalidInput where a file is not valid."""
    yield from ((path.stem, LatencyTable.parse(path.read_bytes(), str(path))) for path in _paths(settings))


def _path(settings: Settings, name: str) -> Path:
    return settings.latency_dir / f"{name}.json"


def _paths(settings: Settings) -> list[Path]:
    return sorted(settings.latency_dir.glob("*.json"))

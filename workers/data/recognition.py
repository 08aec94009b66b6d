"""Beginnings of files and names in folders, by which formats recognise their datasets; nothing is read in full."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from searchsvc.errors import InvalidInput
from workers.data.walk import contents_of, is_passed_over

_HEAD_BYTES: Final = 2**16
_TABLES: Final = frozenset({".csv", ".tsv", ".txt"})
_DELIMITERS: Final = (",", ";", "\t", "|")

Recogniser: TypeAlias = Callable[[Path], Mapping[str, Any] | None]
"""Returns the options of a dataset section that a file or folder needs, with its `path`; None if it looks different."""


@dataclass(frozen=True, slots=True)
class TableHead:
    """The first row of a table, and the second if there is one, as cells without blanks around them."""

    first: tuple[str, ...]
    second: tuple[str, ...]


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def table_head(path: Path) -> TableHead | None:
    """Return the first rows of a file with the name of a table; None if it has another name, or no rows."""
    if path.suffix.lower() not in _TABLES:
        return None
    head = head_of(path)
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    lines = [line for line in head.decode(encoding, "replace").splitlines() if line.strip()]
    if lines and lines[0].startswith("sep="):
        del lines[0]
    if not lines:
        return None
    delimiter = max(_DELIMITERS, key=lambda one: len(_cells(lines[0], one)))
    return TableHead(_cells(lines[0], delimiter), _cells(lines[1], delimiter) if len(lines) > 1 else ())


def tables_in(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder that are called like tables, sorted."""
    yield from (path for path in entries_in(folder) if path.suffix.lower() in _TABLES and path.is_file())


def entries_in(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not passed over, sorted; none if it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not is_passed_over(path.name))
    except OSError:
        return []


def files_in(folder: Path, suffix: str) -> list[Path]:
    """Return the files below a folder, at any depth, whose names have an ending; none if it cannot be read."""
    try:
        return [path for path in contents_of(folder).others if path.suffix.lower() == suffix]
    except (OSError, InvalidInput):
        return []


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return ()

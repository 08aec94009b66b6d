"""Tables in text files: rows of cells between commas, semicolons or tabs, as spreadsheets and programs write them."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.imagefiles import Roots, printable

_DELIMITERS = (",", ";", "\t")
_LARGEST_BYTES = 2**30
_DECLARED = re.compile(r"sep=(.)\r?\n")
"""First line of a table of Excel that names the delimiter."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table: the number of its line, from 1, and its cells without spaces around them."""

    line: int
    cells: tuple[str, ...]


def read_table(path: Path, within: Roots, delimiter: str | None = None) -> list[TableRow]:
    """Return the rows of a table that are not empty, all of equal length. `delimiter`: None: the one that fits.

    Raises InvalidInput that names the line.
    """
    text = _text(path, within)
    if (declared := _DECLARED.match(text)) is not None:
        delimiter, text = delimiter or declared[1], "\n" + text[declared.end() :]
    if not text.strip():
        raise _wrong(path, "is empty")
    tables, errors = {}, []
    for sign in [delimiter] if delimiter else _DELIMITERS:
        try:
            tables[sign] = _rows(path, text, sign)
        except InvalidInput as error:
            errors.append(error)
    fitting = {sign: rows for sign, rows in tables.items() if rows and len(rows[0].cells) > 1 and not _uneven(rows)}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    if fitting:
        raise _wrong(path, f"can be divided by each of {', '.join(map(repr, fitting))}: set `delimiter`")
    if errors:
        raise errors[0]
    if not any(tables.values()):
        raise _wrong(path, "has no cell that is not empty")
    wide = max(tables.values(), key=lambda rows: len(rows[0].cells))
    if (row := _uneven(wide)) is not None:
        counts = f"line {row.line} has {len(row.cells)} cell(s), line {wide[0].line} has {len(wide[0].cells)}"
        raise _wrong(path, f"{counts}: write cells with a delimiter in them in quotes")
    raise _wrong(
        path, "has a single column; it needs one for the files and one for the labels, divided by , or ; or a tab"
    )


def _text(path: Path, within: Roots) -> str:
    try:
        with open_confined(path, within) as file:
            content = file.read(_LARGEST_BYTES + 1)
    except UnsafeFile as error:
        raise _wrong(path, f"is not read: {error.strerror}") from None
    if len(content) > _LARGEST_BYTES:
        raise _wrong(path, f"has more than {_LARGEST_BYTES:,} bytes")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _wrong(path, f"is not text in UTF-8 (line {line}): save it as UTF-8") from None


def _rows(path: Path, text: str, delimiter: str) -> list[TableRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        stripped = [(reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader]
    except csv.Error as error:
        raise _wrong(path, f"cannot be read at line {reader.line_num}: {error}") from None
    return [TableRow(line, cells) for line, cells in stripped if any(cells)]


def _uneven(rows: list[TableRow]) -> TableRow | None:
    """Return the first row that has another number of cells than the first row of all."""
    return next((row for row in rows if len(row.cells) != len(rows[0].cells)), None)


def _wrong(path: Path, message: str) -> InvalidInput:
    return InvalidInput.at("/path", f"{printable(path)} {message}")

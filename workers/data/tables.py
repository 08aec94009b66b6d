"""Tables in text files: rows of cells between commas, semicolons, tabs or bars, as spreadsheets write them.

A table is text in UTF-8, or in UTF-16 with its mark. A first line such as `sep=;` names the delimiter; otherwise it is
the one that divides all rows into the same number of cells.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, content_of, open_confined
from workers.data.imagefiles import Roots, printable

Delimiter = Annotated[str, Field(pattern=r'^[^\w\r\n"]$')]
"""The character between cells: anything but letters, digits, quotes and ends of lines."""
_DELIMITERS: Final = (",", ";", "\t", "|")
_LARGEST_BYTES: Final = 2**30
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECLARED: Final = re.compile(r'"?sep=([^\w\r\n"])"?\r?\n', re.IGNORECASE)
"""First line of a table of Excel that names the delimiter."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table that is not empty."""

    line: int
    """Number of its last line in the file, from 1."""
    cells: tuple[str, ...]
    """Texts without blanks around them."""


def read_table(path: Path, pointer: str, within: Roots, delimiter: str | None = None) -> list[TableRow]:
    """Return the rows of a table, which all have as many cells as the first. `delimiter`: None: the one that fits.

    Raises InvalidInput at `pointer`, the option that names the file.
    """
    try:
        return _read(_text(path, within), delimiter)
    except ValueError as error:
        raise InvalidInput.at(pointer, f"{printable(path)} {error}") from None
    except OSError as error:
        raise InvalidInput.at(pointer, f"{printable(path)} cannot be read: {error.strerror}") from error


def _read(text: str, delimiter: str | None) -> list[TableRow]:
    """Return the rows of a text. Raises ValueError that continues its name."""
    if (declared := _DECLARED.match(text)) is not None:
        delimiter, text = delimiter or declared[1], "\n" + text[declared.end() :]
    if not text.strip():
        raise ValueError("is empty")
    tables, errors = _tables(text, [delimiter] if delimiter else _DELIMITERS)
    fitting = [sign for sign, rows in tables.items() if _uneven(rows) is None]
    if len(fitting) > 1:
        raise ValueError(f"can be divided by each of {', '.join(map(repr, fitting))}: set `delimiter`")
    if fitting:
        return tables[fitting[0]]
    if errors:
        raise errors[0]
    if not tables:
        known = repr(delimiter) if delimiter else ", or ; or | or a tab"
        raise ValueError(f"has a single column; cells are divided by {known}")
    wide = max(tables.values(), key=lambda rows: len(rows[0].cells))
    raise ValueError(f"{_uneven(wide)}: write cells with a delimiter in them in quotes")


def _tables(text: str, delimiters: Sequence[str]) -> tuple[dict[str, list[TableRow]], list[ValueError]]:
    """Return the rows by each delimiter that divides the first row, and what is wrong with others.

    Raises ValueError if no cell has a content.
    """
    tables: dict[str, list[TableRow]] = {}
    errors: list[ValueError] = []
    for sign in delimiters:
        try:
            if len(next(_rows(text, sign)).cells) > 1:
                tables[sign] = list(_rows(text, sign))
        except StopIteration:
            raise ValueError("has no cell that is not empty") from None
        except ValueError as error:
            errors.append(error)
    return tables, errors


def _text(path: Path, within: Roots) -> str:
    """Return the text of a file. Raises ValueError that continues its name."""
    try:
        with open_confined(path, within) as file:
            content = content_of(file, _LARGEST_BYTES)
    except UnsafeFile as error:
        raise ValueError(f"is not read: {error.strerror}") from None
    if content is None:
        raise ValueError(f"has more than {_LARGEST_BYTES:,} bytes")
    encoding = "utf-16" if content.startswith(_UTF16_MARKS) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"is not text in {name} (line {line}): save it as UTF-8") from None
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise ValueError(f"has a zero byte in line {line} and is no text: save it as UTF-8")
    return text


def _rows(text: str, delimiter: str) -> Iterator[TableRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield TableRow(reader.line_num, stripped)
    except csv.Error as error:
        raise ValueError(f"cannot be read at line {reader.line_num}: {error}") from None


def _uneven(rows: list[TableRow]) -> str | None:
    """Return words about the first row that has another number of cells than the first row of all; None if none has."""
    first = rows[0]
    for row in rows:
        if len(row.cells) != len(first.cells):
            return f"line {row.line} has {len(row.cells)} cell(s), line {first.line} has {len(first.cells)}"
    return None

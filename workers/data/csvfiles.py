"""Tables in text files, with commas, semicolons, tabs or vertical bars between the columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.imagefiles import Roots, printable

_DELIMITERS: Final = (",", ";", "\t", "|")
_LARGEST_BYTES: Final = 2**30
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row that is not empty."""

    line: int
    """Number of its last line in the file, from 1."""
    cells: tuple[str, ...]
    """Texts without blanks around them."""


def read_rows(path: Path, pointer: str, within: Roots) -> list[CsvRow]:
    """Return the rows of a file, which all have as many cells as the first.

    Raises InvalidInput at `pointer`, the option that names the file.
    """
    text = _text(path, pointer, within)
    try:
        rows = list(_rows(text, _delimiter(text)))
    except csv.Error as error:
        raise InvalidInput.at(pointer, f"{printable(path)} cannot be read as csv: {error}") from None
    if not rows:
        raise InvalidInput.at(pointer, f"{printable(path)} is empty")
    width = len(rows[0].cells)
    for row in rows:
        if len(row.cells) != width:
            where = f"{printable(path)}, line {row.line}"
            raise InvalidInput.at(pointer, f"{where}: {len(row.cells)} cells, but the first row has {width}")
    return rows


def _text(path: Path, pointer: str, within: Roots) -> str:
    try:
        with open_confined(path, within) as file:
            content = file.read(_LARGEST_BYTES + 1)
    except UnsafeFile as error:
        raise InvalidInput.at(pointer, f"{printable(path)} is not read: {error.strerror}") from None
    except OSError as error:
        raise InvalidInput.at(pointer, f"{printable(path)} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST_BYTES:
        raise InvalidInput.at(pointer, f"{printable(path)} is larger than {_LARGEST_BYTES:,} bytes")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        message = f"{printable(path)} is not {encoding.removesuffix('-sig').upper()} text (byte {error.start})"
        raise InvalidInput.at(pointer, f"{message}: save it as UTF-8") from None


def _delimiter(text: str) -> str:
    """Return the delimiter that divides the first line into the most cells; a comma if none does."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))


def _rows(text: str, delimiter: str) -> Iterator[CsvRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for cells in reader:
        stripped = tuple(cell.strip() for cell in cells)
        if any(stripped):
            yield CsvRow(reader.line_num, stripped)

"""Checks of values before they are collected for the database, against the columns that will hold them.

Both databases store every value that passes, and give it back unchanged; PostgreSQL alone would refuse a text that is
too long, and SQLite would store it. A value that does not pass is reported to its caller, who knows its origin: in a
batch it would make the writes of everybody else fail.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Integer, String, Table

from searchsvc.errors import Unstorable

_LARGEST_DOCUMENT: Final = 10_000_000
_LONGEST_TEXT: Final = 1_000_000
_LONGEST_NAME: Final = 255
_DEEPEST: Final = 50
_METRICS: Final = frozenset(("metrics", "test_metrics", "costs"))
"""Columns with numbers by name, which databases look into."""

_COUNTS: Final = frozenset(("rejected",))
"""Columns with counts by name, which are added up."""


def check_row(table: Table, row: Mapping[str, Any]) -> None:
    """Raise Unstorable unless the table can hold these values; `row` may lack columns."""
    for name, value in row.items():
        _check(table.c[name], value, f"{table.name}.{name}")


def document_of(value: Any, place: str = "document") -> Any:
    """Return a copy of a JSON document. Raises Unstorable if JSON or a database would change or refuse it."""
    copy = _copy(value, place, 0)
    size = len(json.dumps(copy))
    if size > _LARGEST_DOCUMENT:
        raise Unstorable(f"{place}: {size:,} characters of JSON are too much; at most {_LARGEST_DOCUMENT:,} are stored")
    return copy


def metrics_of(metrics: Any, place: str = "metrics") -> dict[str, float]:
    """Return a copy of numbers by name. Raises Unstorable unless all are finite and all names are text."""
    copy = document_of(metrics, place)
    if not isinstance(copy, dict):
        raise Unstorable(f"{place}: {_shown(metrics)} is not a mapping of names to numbers")
    for name, number in copy.items():
        if not isinstance(number, int | float):
            raise Unstorable(f"{place}/{name}: {_shown(number)} is not a number")
        if "\0" in name or not name.isprintable():
            raise Unstorable(f"{place}: the name {name!r} has characters that cannot be printed; rename the metric")
    return copy


def _check(column: Column[Any], value: Any, place: str) -> None:
    if value is None:
        if not column.nullable:
            raise Unstorable(f"{place}: None cannot be stored here")
    elif isinstance(column.type, JSON):
        copy = (metrics_of if column.name in _METRICS | _COUNTS else document_of)(value, place)
        if column.name in _COUNTS:
            for name, count in copy.items():
                _require(type(count) is int and 0 <= count < 2**31, count, f"{place}/{name}", "a count")
    elif isinstance(column.type, Boolean):
        _require(isinstance(value, bool), value, place, "true or false")
    elif isinstance(column.type, Double):
        _finite(value, place)
    elif isinstance(column.type, Integer):
        limit = 2**63 if isinstance(column.type, BigInteger) else 2**31
        _require(type(value) is int and -limit <= value < limit, value, place, f"a whole number below {limit:,}")
    else:
        _check_text(column, value, place)


def _check_text(column: Column[Any], value: Any, place: str) -> None:
    _require(isinstance(value, str), value, place, "text")
    limit = column.type.length if isinstance(column.type, String) else None
    most = limit or (_LONGEST_NAME if column.primary_key else _LONGEST_TEXT)
    size = len(value.encode("utf-8", "replace"))
    if size > most:
        raise Unstorable(f"{place}: a text of {size:,} bytes is too long; at most {most:,} are stored")
    if limit is not None:
        _require(value.isascii() and value.isprintable(), value, place, "plain text")


def _copy(value: Any, place: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Unstorable(f"{place}: more than {_DEEPEST} levels deep, or contains itself")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        _finite(value, place)
        return value
    if isinstance(value, Mapping):
        for name in value:
            _require(isinstance(name, str), name, place, "a text, as keys must be")
        return {name: _copy(part, f"{place}/{name}", depth + 1) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_copy(part, f"{place}/{index}", depth + 1) for index, part in enumerate(value)]
    raise Unstorable(f"{place}: {_shown(value)} is not plain data; convert numbers with float() or int()")


def _finite(value: Any, place: str) -> None:
    _require(isinstance(value, int | float) and not isinstance(value, bool), value, place, "a number")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        is_finite = False
    _require(is_finite, value, place, "a finite number")


def _require(holds: bool, value: Any, place: str, right: str) -> None:
    if not holds:
        raise Unstorable(f"{place}: {_shown(value)} is not {right}")


def _shown(value: Any) -> str:
    """Show a value of any kind in a message: its type, and the beginning of its text."""
    kind = type(value)
    if kind is int and abs(value) > 2**63:
        return "a whole number of more than 63 bits"
    text = repr(value)
    return f"{text[:60]}{'...' if len(text) > 60 else ''} ({kind.__module__}.{kind.__qualname__})"

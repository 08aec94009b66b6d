"""Conversion between rows and the records of `searchsvc.domain.records`, by the names of fields and columns.

A field of a record is stored in the column of its name; a record within a record, such as a trial's proposal, in
columns of the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar, get_origin

from sqlalchemy import RowMapping

from searchsvc.domain import Candidate, JobSpec, Proposal, Relabelling
from searchsvc.domain.fields import RecordField, fields_of

R = TypeVar("R")
Fields: TypeAlias = Mapping[str, Any] | RowMapping
"""A row by the names of its columns."""

_OTHER_NAMES: Mapping[tuple[type, str], str] = MappingProxyType({(Proposal, "told"): "told_before"})
"""Columns whose name differs from the name of their field."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The construction of a record from a row."""

    columns: Callable[[Fields], tuple[Any, ...]]
    """Function that returns the columns of all fields but `parts`, in order."""
    conversions: tuple[tuple[int, Callable[[Any], Any]], ...]
    """(index of a column, conversion of its value if it is not NULL)"""
    parts: tuple[tuple[int, type[Any]], ...]
    """(index of a field, type of the record within the record), ascending."""


def record_of(kind: type[R], row: Fields) -> R:
    """Return the record of type `kind` that is stored in a row."""
    record: Any = kind
    layout = _layout(record)
    values = list(layout.columns(row))
    for index, convert in layout.conversions:
        if values[index] is not None:
            values[index] = convert(values[index])
    for index, part in layout.parts:
        values.insert(index, record_of(part, row))
    return kind(*values)


def row_of(record: Any) -> dict[str, Any]:
    """Return the columns in which a record is stored."""
    row: dict[str, Any] = {}
    kind: Any = type(record)
    for field in fields_of(kind):
        value = getattr(record, field.name)
        row |= row_of(value) if _is_record(field) else {_column(kind, field.name): _stored(value)}
    return row


def columns_of(record: Any) -> tuple[str, ...]:
    """Return the names of the columns in which records of a type are stored."""
    return tuple(
        name
        for field in fields_of(record)
        for name in (columns_of(field.kind) if _is_record(field) else (_column(record, field.name),))
    )


def relabelling_of(row: Fields) -> Relabelling:
    images, labels = (tuple(row["questions"][name]) for name in ("images", "labels"))
    return Relabelling(row["job_id"], images, labels, row["made_from"], row["created_at"])


@cache
def _layout(record: Any) -> _Layout:
    fields = fields_of(record)
    plain = [field for field in fields if not _is_record(field)]
    conversions = ((index, _conversion(field.kind)) for index, field in enumerate(plain))
    return _Layout(
        columns=itemgetter(*(_column(record, field.name) for field in plain)),
        conversions=tuple((index, convert) for index, convert in conversions if convert is not None),
        parts=tuple((index, field.kind) for index, field in enumerate(fields) if _is_record(field)),
    )


def _is_record(field: RecordField) -> bool:
    return is_dataclass(field.kind) and field.kind is not Candidate


def _column(record: Any, field: str) -> str:
    return _OTHER_NAMES.get((record, field), field)


def _conversion(kind: Any) -> Callable[[Any], Any] | None:
    """Return the conversion of a column's value to a field of the type `kind`, or None if none is needed."""
    if kind is JobSpec:
        return JobSpec.model_validate
    if get_origin(kind) is tuple:
        return tuple
    return kind if isinstance(kind, type) and issubclass(kind, Enum | Candidate) else None


def _stored(value: Any) -> Any:
    """Return the value of a field in the form that its column stores."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Candidate):
        return dict(value.values)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value

"""Fields of records: each is listed once, in its dataclass; rows, REST schemas, exports and tables derive from it.

A field that users may see is annotated with `Shown`, as in `step: Annotated[int, Shown("Last measured step.")]`. A
field without it is internal: it is stored, and appears nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType, NoneType
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints


class UnixSeconds:
    """Marks a moment, which pages and REST show as a date."""


Time: TypeAlias = Annotated[float, UnixSeconds]
"""A moment in seconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Annotation of a field that users may see: in REST, in exports and, with a heading, in the table of a page."""

    description: str
    heading: str | None = None
    """Heading of the field's column in the page's table; None: the table does not show it."""
    is_exported: bool = True
    """True if tables of results (CSV, Optuna) have a column for the field; only single values fit into a column."""
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordField:
    """Name, type and annotation of a record's field."""

    name: str
    hint: Any
    """Type of the field, without `Shown`."""
    shown: Shown | None
    """None for an internal field."""

    @property
    def is_time(self) -> bool:
        return any(UnixSeconds in getattr(hint, "__metadata__", ()) for hint in (self.hint, *get_args(self.hint)))

    @property
    def is_exported(self) -> bool:
        """True if the field has a column in tables of results."""
        return self.shown is not None and self.shown.is_exported and get_origin(self.kind) is not Mapping

    @property
    def kind(self) -> Any:
        """Type of the field apart from None and annotations: `FailureKind` for `FailureKind | None`."""
        return _kind(self.hint)


@cache
def fields_of(record: Any) -> tuple[RecordField, ...]:
    """Return the fields of a record (a dataclass) in their order."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(_field(field.name, hints[field.name]) for field in fields(record))


@cache
def shown_fields(record: Any) -> Mapping[str, RecordField]:
    """Return the fields of a record that users may see, by name."""
    return MappingProxyType({field.name: field for field in fields_of(record) if field.shown is not None})


def _field(name: str, hint: Any) -> RecordField:
    shown = next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, Shown)), None)
    return RecordField(name, hint if shown is None else _without_shown(hint), shown)


def _without_shown(hint: Any) -> Any:
    """Return the hint without `Shown`.

    `Annotated[X, Shown(...)]` is flattened with the annotations of X, such as the annotation of `Time`.
    """
    others = tuple(part for part in hint.__metadata__ if not isinstance(part, Shown))
    return Annotated[(hint.__origin__, *others)] if others else hint.__origin__


def _kind(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return _kind(hint.__origin__)
    options = [option for option in get_args(hint) if option is not NoneType]
    is_optional = NoneType in get_args(hint)
    return _kind(options[0]) if is_optional and len(options) == 1 else hint

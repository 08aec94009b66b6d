"""Bases of the REST schemas: JSON that is sent, JSON that is received, and schemas derived from stored records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Annotated, Any, Generic, Self, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from searchsvc.domain import Scalar
from searchsvc.domain.fields import RecordField, Time, shown_fields
from searchsvc.domain.records import EXAMPLE_ID

T = TypeVar("T")


def utc(seconds: float) -> datetime:
    """Return a stored time as a date, which JSON shows in RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC)


Metrics: TypeAlias = dict[str, float]
Id: TypeAlias = Annotated[str, Field(examples=[EXAMPLE_ID])]
Values: TypeAlias = Annotated[dict[str, Scalar], Field(examples=[{"depth": 2, "lr": 0.003, "optimizer": "sgd"}])]
Moment: TypeAlias = Annotated[datetime, BeforeValidator(utc)]


class Out(BaseModel):
    """JSON in a response."""

    model_config = ConfigDict(frozen=True)


class In(BaseModel):
    """JSON in a request: unknown keys are refused, and so are NaN and infinity."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class RecordOut(Out):
    """A stored record: `class Trial(RecordOut, record=domain.Trial)` has all fields of the record that users may see.

    Fields in the body of the class replace fields of the record, and add others; they come after the field `after`,
    or last. `of` must receive them by keyword unless the record has an attribute of their name.
    """

    def __init_subclass__(cls, record: Any = None, after: str | None = None, **kwargs: Any) -> None:
        """Add the fields before pydantic collects them."""
        if record is not None:
            own = dict(cls.__annotations__)
            derived = {name: field for name, field in shown_fields(record).items() if name not in own}
            names = list(derived)
            place = len(names) if after is None else names.index(after) + 1
            annotations: dict[str, Any] = {name: _json_type(field.hint) for name, field in derived.items()}
            for name, field in derived.items():
                setattr(cls, name, _field_info(field))
            cls.__annotations__ = {
                name: {**annotations, **own}[name] for name in [*names[:place], *own, *names[place:]]
            }
        super().__init_subclass__(**kwargs)

    @classmethod
    def of(cls, record: Any, **others: Any) -> Self:
        """Return the schema of a record; `others` are fields that the record lacks, or has in another form."""
        names = (name for name in cls.model_fields if name not in others)
        return cls(**{name: _json_value(getattr(record, name)) for name in names}, **others)


class Page(Out, Generic[T]):
    """A page of a list."""

    items: list[T] = Field(description="The rows.")
    next_page_token: str | None = Field(description="Send it as `page_token` for the next page; null on the last page.")


def _field_info(field: RecordField) -> FieldInfo:
    assert field.shown is not None
    info: FieldInfo = Field(description=field.shown.description, examples=list(field.shown.examples) or None)
    return info


def _json_type(hint: Any) -> Any:
    """Return the type of a record's field in JSON: dates instead of seconds, dictionaries instead of mappings."""
    if hint == Time:
        return Moment
    origin, arguments = get_origin(hint), tuple(map(_json_type, get_args(hint)))
    if origin in (Union, UnionType):
        return reduce(or_, arguments)
    return GenericAlias(dict, arguments) if origin is Mapping else hint


def _json_value(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value

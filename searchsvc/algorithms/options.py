"""Options of algorithms and stopping rules: the keys of a spec next to `name`, checked by the entry of the table."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from searchsvc.domain.faults import faults_of
from searchsvc.errors import Fault, InvalidInput


class MethodOptions(BaseModel):
    """Options of an algorithm or a stopping rule. Every field has a default and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    example: ClassVar[Mapping[str, Any]] = {}
    """Options for the contract tests: a few trials of a dozen epochs suffice to show every behaviour of the method."""


def validated(model: type[MethodOptions], options: Mapping[str, Any], entry: str) -> MethodOptions:
    """Validate the options of an entry. Raises InvalidInput with pointers `/<option>`."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        names = ", ".join(model.model_fields) or "none"
        unknown = f"unknown option of {entry}; it has: {names}"
        raise InvalidInput(
            Fault(fault.pointer, unknown) if fault.message == "unknown key" else fault
            for fault in faults_of(error, options)
        ) from None


def unknown_name(kind: str, name: str, table: Mapping[str, object]) -> InvalidInput:
    """The error for a name that is not in a table, with the nearest name in the table."""
    near = get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InvalidInput.at("/name", f"no {kind} {name!r}; {hint}There are: {', '.join(table)}")

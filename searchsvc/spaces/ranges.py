"""Values of a parameter: their number, the check of a value, and narrower ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from searchsvc.domain.parameters import Basis, Categorical, Integer, Parameter, Scalar, is_among
from searchsvc.domain.spec import NarrowedRange
from searchsvc.spaces.grid import grid_of

_LISTED = 20
"""Choices that a message lists; it counts the others."""


def levels(parameter: Parameter) -> int | float:
    """Return the number of values of a parameter; infinity if its range is continuous."""
    if isinstance(parameter, Categorical):
        return len(parameter.choices)
    if parameter.step is None:
        return 1 if parameter.low == parameter.high else math.inf
    return grid_of(parameter.low, parameter.high, parameter.step).last + 1


def outside_reason(parameter: Parameter, value: Scalar) -> str | None:
    """Return why `value` is not a value of the parameter, or None if it is."""
    if isinstance(parameter, Categorical):
        if is_among(value, parameter.choices):
            return None
        return f"{parameter.name} must be one of {listed(parameter.choices)}, not {written(value)}"
    if isinstance(value, bool | str | None):
        return f"{parameter.name} must be a number, not {written(value)}"
    if not parameter.low <= value <= parameter.high:
        return f"{parameter.name} must lie from {parameter.low} to {parameter.high}, not {value!r}"
    if isinstance(parameter, Integer) and not float(value).is_integer():
        return f"{parameter.name} must be a whole number, not {value!r}"
    step = parameter.step
    if step is not None and not grid_of(parameter.low, parameter.high, step).holds(value):
        return f"{parameter.name} must be {parameter.low} plus a multiple of {step}, not {value!r}"
    return None


def written(value: Scalar) -> str:
    """Return a value as a document shows it: `null`, `true`, `0.1`, `'sgd'`."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def listed(values: Sequence[Scalar]) -> str:
    """Return values for a message: the first 20, and the number of the others."""
    others = len(values) - _LISTED
    texts = ", ".join(map(written, values[:_LISTED]))
    return f"[{texts}, and {others:,} more]" if others > 0 else f"[{texts}]"


def narrowed(parameter: Parameter, change: NarrowedRange | Sequence[Scalar]) -> Parameter:
    """Return the parameter with fewer choices or a smaller range. Raises ValueError if the change does not fit it."""
    if not isinstance(change, NarrowedRange):
        for value in change:
            if reason := outside_reason(parameter, value):
                raise ValueError(reason)
        return Categorical(parameter.name, tuple(change), when=parameter.when)
    if isinstance(parameter, Categorical):
        choices = listed(parameter.choices)
        raise ValueError(f"is a choice among {choices}: give a list of those to keep, not low and high")
    low = parameter.low if change.low is None else change.low
    high = parameter.high if change.high is None else change.high
    for bound in (low, high):
        if reason := outside_reason(parameter, bound):
            raise ValueError(reason)
    if low > high:
        raise ValueError(f"low ({low:g}) must not be above high ({high:g})")
    if isinstance(parameter, Integer):
        return replace(parameter, low=int(low), high=int(high))
    if isinstance(parameter, Basis):
        inside = tuple(value for value in parameter.values if low <= value <= high)
        return replace(parameter, values=tuple(dict.fromkeys((*inside, low, high))))
    return replace(parameter, low=low, high=high)

"""Values of a parameter: their number, the check of a value, and narrower ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from searchsvc.domain.parameters import Basis, Categorical, Integer, Parameter, Scalar
from searchsvc.domain.spec import NarrowedRange


def levels(parameter: Parameter) -> int | float:
    """Return the number of values of a parameter; infinity if its range is continuous."""
    if isinstance(parameter, Categorical):
        return len(parameter.choices)
    if parameter.step is None:
        return 1 if parameter.low == parameter.high else math.inf
    return math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1


def outside_reason(parameter: Parameter, value: Scalar) -> str | None:
    """Return why `value` is not a value of the parameter, or None if it is."""
    if isinstance(parameter, Categorical):
        if any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in parameter.choices):
            return None
        return f"{parameter.name} must be one of {list(parameter.choices)}, not {value!r}"
    if isinstance(value, bool | str):
        return f"{parameter.name} must be a number, not {value!r}"
    if not parameter.low <= value <= parameter.high:
        return f"{parameter.name} must lie from {parameter.low} to {parameter.high}, not {value!r}"
    if isinstance(parameter, Integer) and not float(value).is_integer():
        return f"{parameter.name} must be a whole number, not {value!r}"
    if parameter.step is not None:
        steps = (value - parameter.low) / parameter.step
        if not math.isclose(steps, round(steps), abs_tol=1e-6):
            return f"{parameter.name} must be {parameter.low} plus a multiple of {parameter.step}, not {value!r}"
    return None


def narrowed(parameter: Parameter, change: NarrowedRange | Sequence[Scalar]) -> Parameter:
    """Return the parameter with fewer choices or a smaller range. Raises ValueError if the change does not fit it."""
    if not isinstance(change, NarrowedRange):
        for value in change:
            if reason := outside_reason(parameter, value):
                raise ValueError(reason)
        return Categorical(parameter.name, tuple(change), when=parameter.when)
    if isinstance(parameter, Categorical):
        raise ValueError(f"is a choice among {list(parameter.choices)}: give a list of those to keep, not low and high")
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

"""Limits of networks and trainings: the widest parameter for each name, and the checks of values and spaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.errors import Fault, InvalidInput, pointer
from searchsvc.spaces.ranges import listed
from searchsvc.spaces.space import Space

Limits: TypeAlias = Mapping[str, Parameter]
"""The widest working range of every parameter by name, far beyond the ranges of the shipped spaces."""


def check_values(values: Mapping[str, Scalar], limits: Limits) -> None:
    """Raise InvalidInput (pointers `/name`) if a value is out of range or its name is unknown."""
    faults = [
        Fault(pointer(name), reason)
        for name, value in values.items()
        if (reason := _reason_against(name, value, limits))
    ]
    if faults:
        raise InvalidInput(faults)


def check_space(space: Space, limits: Limits) -> None:
    """Raise InvalidInput (pointers `/0`, `/1`, ... as in Space) if a parameter reaches beyond the limits."""
    faults = [
        Fault(f"/{index}", reason)
        for index, parameter in enumerate(space.parameters)
        if (reason := _first_reason_against(parameter, limits))
    ]
    if faults:
        raise InvalidInput(faults)


def _first_reason_against(parameter: Parameter, limits: Limits) -> str | None:
    limit = limits.get(parameter.name)
    values = parameter.choices if isinstance(parameter, Categorical) else (parameter.low, parameter.high)
    for value in values:
        if reason := _reason_against(parameter.name, value, limits):
            return reason
    if isinstance(limit, Categorical) and not isinstance(parameter, Categorical) and parameter.low < parameter.high:
        return f"{parameter.name} takes single values: make it a categorical of some of {listed(limit.choices)}"
    if isinstance(limit, Integer) and not isinstance(parameter, Categorical | Integer):
        return f"{parameter.name} must be a whole number: make it an integer"
    if not (isinstance(limit, Integer) and isinstance(parameter, Integer)) or parameter.low == parameter.high:
        return None
    if parameter.step % limit.step:
        return f"{parameter.name} goes in steps of {limit.step}, not {parameter.step}"
    return None


def _reason_against(name: str, value: Scalar, limits: Limits) -> str | None:
    if name not in limits:
        return f"no parameter is called {name!r}; there are {', '.join(limits)}"
    return Space([limits[name]]).contains(Candidate({name: value}))

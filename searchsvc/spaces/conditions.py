"""Conditions between parameters: their check, the order that they imply, active parameters, the size of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces.ranges import levels, outside_reason


def in_order(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters, each after those that its conditions name.

    Raises InvalidInput (pointers `/0/name`, `/1/when/other`, ...) if the sequence is empty, if names repeat, or if a
    condition is unsound.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    names = [parameter.name for parameter in parameters]
    faults = []
    for index, parameter in enumerate(parameters):
        if names.index(parameter.name) != index:
            faults.append(Fault(f"/{index}/name", f"{parameter.name!r} occurs twice"))
        for other, allowed in parameter.when.items():
            if message := _condition_fault(by_name, other, allowed):
                faults.append(Fault(f"/{index}/when/{other}", message))
    if not parameters:
        faults.append(Fault("", "an empty space has nothing to search: name at least one parameter"))
    if faults:
        raise InvalidInput(faults)
    try:
        graph = {parameter.name: list(parameter.when) for parameter in parameters}
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise InvalidInput.at("", f"conditions run in a circle: {' -> '.join(error.args[1])}") from None


def _condition_fault(parameters: Mapping[str, Parameter], other: str, allowed: Sequence[Scalar]) -> str | None:
    if other not in parameters:
        return f"no parameter {other!r} in this space"
    if not isinstance(parameters[other], Categorical | Integer):
        return f"{other!r} is a {parameters[other].type}; a condition needs a categorical or an integer"
    if not allowed:
        return f"name at least one value of {other!r}"
    return None


def is_active(parameter: Parameter, values: Mapping[str, Scalar]) -> bool:
    """Return whether all conditions of a parameter hold for the values of the active parameters."""
    return all(other in values and values[other] in allowed for other, allowed in parameter.when.items())


def count_candidates(ordered: Sequence[Parameter]) -> int | float:
    """Return the number of different candidates: exact, or infinity if an active parameter is continuous.

    `ordered` are the parameters of a space in the order of `in_order`.
    """
    total: int | float = 1
    for component in _components(ordered):
        total *= _count(component, {})
    return total


def _components(ordered: Sequence[Parameter]) -> list[list[Parameter]]:
    """Return groups of parameters that conditions join, each in the order of its conditions."""
    group = {parameter.name: frozenset([parameter.name]) for parameter in ordered}
    for parameter in ordered:
        for other in parameter.when:
            merged = group[parameter.name] | group[other]
            group.update(dict.fromkeys(merged, merged))
    return [[p for p in ordered if p.name in members] for members in dict.fromkeys(group.values())]


def _count(component: Sequence[Parameter], chosen: Mapping[str, Scalar]) -> int | float:
    """Count the candidates of a component; only values of parameters that conditions name are enumerated."""
    named = {other for parameter in component for other in parameter.when}
    total: int | float = 1
    for index, parameter in enumerate(component):
        if not is_active(parameter, chosen):
            continue
        if parameter.name not in named:
            total *= levels(parameter)
            continue
        rest = component[index + 1 :]
        shares = _shares(parameter, rest)
        return total * sum(count * _count(rest, {**chosen, parameter.name: value}) for value, count in shares)
    return total


def _shares(parameter: Parameter, rest: Sequence[Parameter]) -> list[tuple[Scalar, int]]:
    """Return (value, number of values with the same effect) for a parameter that conditions in `rest` name."""
    named = dict.fromkeys(value for other in rest for value in other.when.get(parameter.name, ()))
    listed = [value for value in named if outside_reason(parameter, value) is None]
    others = levels(parameter) - len(listed)
    assert isinstance(others, int)
    anything_else = object()
    return [(value, 1) for value in listed] + ([(anything_else, others)] if others else [])  # type: ignore[list-item]

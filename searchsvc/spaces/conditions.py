"""Conditions between parameters: their check, the order that they imply, active parameters, the size of a space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar, is_among, value_key
from searchsvc.errors import Fault, InvalidInput, pointer
from searchsvc.spaces.ranges import levels, outside_reason

_MOST_STATES = 10_000
_LARGEST_COUNT = 10**300


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
                faults.append(Fault(pointer(index, "when", other), message))
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
    return all(other in values and is_among(values[other], allowed) for other, allowed in parameter.when.items())


def count_candidates(ordered: Sequence[Parameter]) -> int | float:
    """Return the number of different candidates: exact, or infinity if an active parameter is continuous.

    `ordered` are the parameters of a space in the order of `in_order`. Infinity also beyond 1e300, which is no number
    in other programs, or if the conditions are so entangled that more than 10,000 combinations of inactive parameters
    would have to be told apart.
    """
    total: int | float = 1
    for component in _components(ordered):
        total = _product(total, _count(component))
        if total > _LARGEST_COUNT:
            return math.inf
    return total


def _components(ordered: Sequence[Parameter]) -> list[list[Parameter]]:
    """Return groups of parameters that conditions join, each in an order of its conditions.

    Within a group, a parameter comes soon after the last of those that its conditions name, so that few parameters wait
    for a decision at the same time.
    """
    children: dict[str, list[Parameter]] = {parameter.name: [] for parameter in ordered}
    for parameter in ordered:
        for other in parameter.when:
            children[other].append(parameter)
    by_name = {parameter.name: parameter for parameter in ordered}
    components, placed = [], set[str]()
    for root in ordered:
        if root.name not in placed:
            members = _joined(root, children, by_name)
            components.append(_depth_first(members, children))
            placed |= members.keys()
    return components


def _joined(
    root: Parameter, children: Mapping[str, Sequence[Parameter]], by_name: Mapping[str, Parameter]
) -> dict[str, Parameter]:
    """Return the parameters that conditions join with `root`, by name."""
    members, waiting = {root.name: root}, [root]
    while waiting:
        parameter = waiting.pop()
        for near in (*children[parameter.name], *(by_name[other] for other in parameter.when)):
            if near.name not in members:
                members[near.name] = near
                waiting.append(near)
    return members


def _depth_first(members: Mapping[str, Parameter], children: Mapping[str, Sequence[Parameter]]) -> list[Parameter]:
    """Order the parameters of a component: each after those that its conditions name, and as soon as possible."""
    missing = {name: len(parameter.when) for name, parameter in members.items()}
    ready = [parameter for parameter in members.values() if not parameter.when]
    ordered = []
    while ready:
        parameter = ready.pop()
        ordered.append(parameter)
        for child in children[parameter.name]:
            missing[child.name] -= 1
            if not missing[child.name]:
                ready.append(child)
    return ordered


def _count(component: Sequence[Parameter]) -> int | float:
    """Count the candidates of a component.

    A state is the set of the parameters to come that are known to be inactive; it has a number of candidates so far.
    """
    states: dict[frozenset[str], int | float] = {frozenset(): 1}
    for index, parameter in enumerate(component):
        children = [other for other in component[index + 1 :] if parameter.name in other.when]
        everyone = frozenset(child.name for child in children)
        shares = _shares(parameter, children)
        ended_all: dict[frozenset[str], int | float] = {everyone: 1}
        following: dict[frozenset[str], int | float] = {}
        for inactive, count in states.items():
            branches = ended_all if parameter.name in inactive else shares
            for ended, values in branches.items():
                state = (inactive - {parameter.name}) | ended
                following[state] = following.get(state, 0) + _product(count, values)
        if len(following) > _MOST_STATES:
            return math.inf
        states = following
    return sum(states.values())


def _shares(parameter: Parameter, children: Sequence[Parameter]) -> dict[frozenset[str], int | float]:
    """Return the sets of children that values of a parameter make inactive, each with the number of such values."""
    named = {value_key(value): value for child in children for value in child.when[parameter.name]}
    inside = [value for value in named.values() if outside_reason(parameter, value) is None]
    shares: dict[frozenset[str], int | float] = {}
    for value in inside:
        ended = frozenset(child.name for child in children if not is_among(value, child.when[parameter.name]))
        shares[ended] = shares.get(ended, 0) + 1
    if others := levels(parameter) - len(inside):
        everyone = frozenset(child.name for child in children)
        shares[everyone] = shares.get(everyone, 0) + others
    return shares


def _product(first: int | float, second: int | float) -> int | float:
    """Multiply counts, of which any may be infinite or larger than a float."""
    return math.inf if math.inf in (first, second) else first * second

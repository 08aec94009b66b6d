"""Checks of the names in a spec against the tables of tasks, spaces and metrics.

Each check returns the object that a name refers to, or raises InvalidInput with pointers into the spec.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from searchsvc import tasks
from searchsvc.domain import Categorical, JobSpec, Parameter, Scalar, Task
from searchsvc.domain.spec import InlineSpace, NamedSpace
from searchsvc.errors import Fault, FaultCollector, InvalidInput, NotFound, pointer
from searchsvc.spaces import Space, catalogue, networks, recipe
from searchsvc.spaces.network_family import NETWORK


def task_of(spec: JobSpec) -> Task:
    """Look up the task of a spec."""
    try:
        return tasks.find(spec.task)
    except NotFound as error:
        raise InvalidInput.at("/task", str(error)) from None


def constants_of(spec: JobSpec) -> Mapping[str, Scalar]:
    """Return the values that all trials share: the constants of a named space, and fixed parameters outside the space.

    With pretrained weights, all trials start from the weights if `init` is neither searched nor fixed.
    """
    section = spec.space
    if isinstance(section, NamedSpace):
        shipped = catalogue.SPACES.get(section.name)
        own, names = (shipped.constants, shipped.space.names) if shipped else ({}, ())
    else:
        own, names = {}, tuple(parameter.name for parameter in section.parameters)
    outside = networks.defaults_of(spec.task).keys() - {NETWORK, *names}
    init = {recipe.INIT: recipe.PRETRAINED} if spec.pretrained is not None and recipe.INIT in outside else {}
    return {**own, **init, **{name: value for name, value in section.fix.items() if name in outside}}


def space_of(spec: JobSpec, task: Task | None) -> Space:
    """Return the space of a spec with `fix` and `narrow` applied; None skips the checks that need the task."""
    return bound_space(spec, task, constants_of(spec))


def bound_space(spec: JobSpec, task: Task | None, constants: Mapping[str, Scalar]) -> Space:
    """Return the space of a spec with `fix` and `narrow` applied; `constants` are the values that all trials share.

    `init` is fixed to random weights if the spec names no pretrained weights for a shipped space that searches it.
    """
    section = spec.space
    space = _named_space(section, task) if isinstance(section, NamedSpace) else _inline_space(section, task)
    outside = constants.keys() - {NETWORK}
    pinned = {name: value for name, value in section.fix.items() if name not in outside}
    if isinstance(section, NamedSpace) and spec.pretrained is None and _is_open(recipe.INIT, space, section):
        pinned[recipe.INIT] = recipe.SCRATCH
    contradictions = sorted(set(section.fix) & set(section.narrow))
    narrow = {name: change for name, change in section.narrow.items() if name not in contradictions}
    faults = FaultCollector()
    with faults.at("/space/fix"):
        networks.check(
            spec.task, space, constants, {name: value for name, value in section.fix.items() if name in outside}
        )
    message = "is fixed already: leave it out of fix or of narrow"
    faults.add(Fault(pointer("space", "narrow", name), message) for name in contradictions)
    with faults.at("/space/fix"):
        fixed = space.fix(pinned)
    with faults.at("/space/narrow"):
        space.narrow(narrow)
    faults.raise_any()
    return fixed.narrow(narrow)


def pointer_of(section: InlineSpace, name: str) -> str:
    """Return the pointer to a parameter of an inline space, or to the list of parameters if the space lacks it."""
    places = (f"/{index}" for index, parameter in enumerate(section.parameters) if parameter.name == name)
    return f"/space/parameters{next(places, '')}"


def metric_faults(
    spec: JobSpec, task: Task, costs: Collection[str], unmeasured: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Fault]:
    """Yield a fault for each objective or constraint on a metric that is neither measured nor in `costs`.

    `unmeasured`: metrics of the task that cannot be measured on the dataset, with the reason.
    """
    measured = {metric.name for metric in task.metrics}
    metrics = [*measured, *(cost for cost in costs if cost not in measured)]
    named = [
        *((f"/objectives/{index}/metric", objective.metric) for index, objective in enumerate(spec.objectives)),
        *((f"/constraints/{index}/metric", constraint.metric) for index, constraint in enumerate(spec.constraints)),
    ]
    for place, name in named:
        if name not in metrics:
            yield Fault(place, f"{task.name} does not measure {name!r}{close_to(name, metrics)}")
        elif name in unmeasured:
            yield Fault(place, f"{name} cannot be measured on this dataset: {unmeasured[name]}")
    first = spec.objectives[0].metric
    if first not in measured and first in metrics:
        yield Fault(
            "/objectives/0/metric",
            f"{first} is known before training; the first objective decides which weights are kept, "
            f"so it must be one of {', '.join(sorted(measured))}",
        )


def close_to(name: str, names: Iterable[str]) -> str:
    """Return a hint for the end of a message: the names that the user may have meant, or all names."""
    choices = sorted(set(names))
    longer = [choice for choice in choices if len(name) > 1 and choice.startswith(name)]
    if near := longer or get_close_matches(name, choices, n=3):
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are {', '.join(choices) or 'none'}"


def _is_open(name: str, space: Space, section: NamedSpace) -> bool:
    return name in space and name not in section.fix and name not in section.narrow


def _named_space(section: NamedSpace, task: Task | None) -> Space:
    try:
        shipped = catalogue.find(section.name)
    except NotFound as error:
        raise InvalidInput.at("/space/name", str(error)) from None
    if task is not None and shipped.task != task.name:
        fitting = [space.name for space in catalogue.SPACES.values() if space.task == task.name]
        raise InvalidInput.at(
            "/space/name",
            f"{section.name} belongs to the task {shipped.task}, not to {task.name}; "
            f"for that one there are {', '.join(fitting) or 'none: write the parameters in the document'}",
        )
    return shipped.space


def _inline_space(section: InlineSpace, task: Task | None) -> Space:
    faults = FaultCollector()
    with faults.at("/space/parameters"):
        space = Space(section.parameters)
    if task is not None:
        faults.add(_parameter_faults(section, task.default_parameters))
    faults.raise_any()
    return space


def _parameter_faults(section: InlineSpace, defaults: Mapping[str, Scalar]) -> Iterator[Fault]:
    for index, parameter in enumerate(section.parameters):
        place = f"/space/parameters/{index}"
        if parameter.name in defaults:
            yield from _kind_faults(place, parameter, defaults[parameter.name])
        else:
            message = f"the task does not know {parameter.name!r}{close_to(parameter.name, defaults)}"
            yield Fault(f"{place}/name", message)


def _kind_faults(place: str, parameter: Parameter, default: Scalar) -> Iterator[Fault]:
    """Yield a fault if a parameter has texts and its default is a number, or the reverse."""
    choices, key = (parameter.choices, "choices") if isinstance(parameter, Categorical) else ((parameter.low,), "type")
    free = parameter.name != NETWORK  # a task that knows what null means takes it; there is no network of that name
    given = [choice for choice in choices if default is not None and not (free and choice is None)]
    wrong = [choice for choice in given if isinstance(choice, str) != isinstance(default, str)]
    if wrong:
        kind = "texts" if isinstance(default, str) else "numbers or true and false"
        message = f"the task takes {kind} for {parameter.name} (such as {default!r}), not {wrong[0]!r}"
        yield Fault(f"{place}/{key}", message)

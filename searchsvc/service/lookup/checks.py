"""The single checks of a spec against the tables. Each returns what it looked up, or raises InvalidInput with pointers
into the spec; `Faults.collect` gathers the faults of all, so that a user sees them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeVar

from searchsvc import tasks
from searchsvc.domain import Categorical, JobSpec, Scalar, Task
from searchsvc.domain.spec import InlineSpace, NamedSpace
from searchsvc.errors import Fault, InvalidInput, NotFound
from searchsvc.spaces import Space, catalogue, networks, recipe

T = TypeVar("T")


@dataclass(slots=True)
class Faults:
    """Faults gathered so far."""

    found: list[Fault] = field(default_factory=list)

    def collect(self, check: Callable[[], T]) -> T | None:
        """What `check` returns; None, and its faults kept, where it raises InvalidInput."""
        try:
            return check()
        except InvalidInput as error:
            self.found += error.faults
            return None

    def raise_any(self) -> None:
        if self.found:
            raise InvalidInput(dict.fromkeys(self.found))


def task_of(spec: JobSpec) -> Task:
    try:
        return tasks.find(spec.task)
    except NotFound as error:
        raise InvalidInput.at("/task", str(error)) from None


def space_of(spec: JobSpec, task: Task | None) -> Space:
    """The space with `fix` and `narrow` applied; a named one without pretrained weights searches no first weights."""
    section, constants = spec.space, constants_of(spec)
    space = _named_space(section, task) if isinstance(section, NamedSpace) else _inline_space(section, task)
    faults = Faults()
    besides = constants.keys() - {networks.NETWORK}
    given = {name: value for name, value in section.fix.items() if name in besides}
    faults.collect(lambda: below("/space/fix", lambda: networks.check(spec.task, space, constants, given)))
    pinned = {name: value for name, value in section.fix.items() if name not in given}
    if isinstance(section, NamedSpace) and spec.pretrained is None and _is_open(recipe.INIT, space, section):
        pinned[recipe.INIT] = recipe.SCRATCH
    both = sorted(set(section.fix) & set(section.narrow))
    faults.found += [
        Fault(f"/space/narrow/{name}", "is fixed already: leave it out of fix or of narrow") for name in both
    ]
    fixed = faults.collect(lambda: below("/space/fix", lambda: space.fix(pinned)))
    narrow = {name: change for name, change in section.narrow.items() if name not in both}
    faults.collect(lambda: below("/space/narrow", lambda: space.narrow(narrow)))
    faults.raise_any()
    assert fixed is not None
    return fixed.narrow(narrow)


def constants_of(spec: JobSpec) -> Mapping[str, Scalar]:
    """Values of every trial besides those of its candidate: those of the named space, and what is fixed besides.

    With pretrained weights, all start from them where `init` is neither searched nor fixed.
    """
    section = spec.space
    if isinstance(section, NamedSpace):
        shipped = catalogue.SPACES.get(section.name)
        own, names = (shipped.constants, shipped.space.names) if shipped else ({}, ())
    else:
        own, names = {}, tuple(one.name for one in section.parameters)
    known = networks.defaults_of(spec.task).keys() - {networks.NETWORK, *names}
    init = {recipe.INIT: recipe.PRETRAINED} if spec.pretrained is not None and recipe.INIT in known else {}
    return {**own, **init, **{name: value for name, value in section.fix.items() if name in known}}


def _is_open(name: str, space: Space, section: NamedSpace) -> bool:
    return name in space and name not in section.fix and name not in section.narrow


def _named_space(section: NamedSpace, task: Task | None) -> Space:
    try:
        shipped = catalogue.find(section.name)
    except NotFound as error:
        raise InvalidInput.at("/space/name", str(error)) from None
    if task is not None and shipped.task != task.name:
        fitting = [one.name for one in catalogue.SPACES.values() if one.task == task.name]
        raise InvalidInput.at(
            "/space/name",
            f"{section.name} belongs to the task {shipped.task}, not to {task.name}; "
            f"for that one there are {', '.join(fitting) or 'none: write the parameters in the document'}",
        )
    return shipped.space


def _inline_space(section: InlineSpace, task: Task | None) -> Space:
    faults = Faults()
    space = faults.collect(lambda: below("/space/parameters", lambda: Space(section.parameters)))
    if task is not None:
        faults.found += _parameter_faults(section, task.default_parameters)
    faults.raise_any()
    assert space is not None
    return space


def _parameter_faults(section: InlineSpace, known: Mapping[str, Scalar]) -> Iterator[Fault]:
    for index, parameter in enumerate(section.parameters):
        if parameter.name not in known:
            message = f"the task does not know {parameter.name!r}{close_to(parameter.name, known)}"
            yield Fault(f"/space/parameters/{index}/name", message)
            continue
        default = known[parameter.name]
        choices = parameter.choices if isinstance(parameter, Categorical) else (parameter.low,)
        wrong = [choice for choice in choices if isinstance(choice, str) != isinstance(default, str)]
        if wrong:
            kind = "texts" if isinstance(default, str) else "numbers or true and false"
            where = f"/space/parameters/{index}/{'choices' if isinstance(parameter, Categorical) else 'type'}"
            yield Fault(where, f"the task takes {kind} for {parameter.name} (such as {default!r}), not {wrong[0]!r}")


def metric_faults(
    spec: JobSpec, task: Task, costs: Collection[str], unmeasured: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Fault]:
    """Objectives and constraints on something that nobody measures; `unmeasured`: what this dataset does not give."""
    measured = {metric.name for metric in task.metrics}
    known = [*measured, *(cost for cost in costs if cost not in measured)]
    named = [
        *((f"/objectives/{index}/metric", one.metric) for index, one in enumerate(spec.objectives)),
        *((f"/constraints/{index}/metric", one.metric) for index, one in enumerate(spec.constraints)),
    ]
    for pointer, name in named:
        if name not in known:
            yield Fault(pointer, f"{task.name} does not measure {name!r}{close_to(name, known)}")
        elif name in unmeasured:
            yield Fault(pointer, f"{name} cannot be measured on this dataset: {unmeasured[name]}")
    first = spec.objectives[0].metric
    if first not in measured and first in known:
        yield Fault(
            "/objectives/0/metric",
            f"{first} is known before training; the first objective decides which weights are kept, "
            f"so it must be one of {', '.join(sorted(measured))}",
        )


def close_to(name: str, known: Iterable[str]) -> str:
    """A hint for a message: what may have been meant, or all that there is."""
    known = sorted(known)
    shortened = [one for one in known if len(name) > 1 and one.startswith(name)]
    if near := shortened or get_close_matches(name, known, n=3):
        return f"; did you mean {' or '.join(near)}?"
    return f"; there are {', '.join(known) or 'none'}"


def below(pointer: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except InvalidInput as error:
        raise error.below(pointer) from None

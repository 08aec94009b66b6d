"""Whether what a spec says of first weights goes together: its section `pretrained`, and the genes that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from searchsvc.domain import JobSpec, Parameter, Scalar
from searchsvc.domain.spec import InlineSpace
from searchsvc.errors import Fault
from searchsvc.spaces import Space
from searchsvc.spaces.recipe import FROZEN_STAGES, INIT, PRETRAINED, SCRATCH
from searchsvc.spaces.sharing import values_of


def faults(
    spec: JobSpec, space: Space, constants: Mapping[str, Scalar], known: Mapping[str, Scalar]
) -> Iterator[Fault]:
    """`constants` are values besides those of the space; `known`, the parameters of the task with their defaults."""
    if INIT not in known:
        if spec.pretrained is not None:
            yield Fault("/pretrained", f"the task {spec.task} starts from no other weights: leave it out")
        return
    inits = values_of(space, INIT, constants.get(INIT, known[INIT]))
    if PRETRAINED in inits and spec.pretrained is None:
        message = "pretrained takes weights to start from: say which, as in `pretrained: {job: NAME}`"
        yield Fault(_place(INIT, spec), message)
    if SCRATCH in inits and _freezes(space, constants, known):
        message = f"random weights would stay as they are: give it the condition `when: {{{INIT}: {PRETRAINED}}}`"
        yield Fault(_place(FROZEN_STAGES, spec), message)


def warnings(spec: JobSpec, space: Space, constants: Mapping[str, Scalar], known: Mapping[str, Scalar]) -> list[str]:
    """What a user would not expect."""
    if spec.pretrained is None or PRETRAINED in values_of(space, INIT, constants.get(INIT, known[INIT])):
        return []
    return [f"no trial starts from the weights of `pretrained`: {INIT} is {SCRATCH} in all of them"]


def _freezes(space: Space, constants: Mapping[str, Scalar], known: Mapping[str, Scalar]) -> bool:
    """Whether a trial that starts from random weights can have frozen stages."""
    if FROZEN_STAGES in space and _needs_weights(space[FROZEN_STAGES]):
        return False
    return any(values_of(space, FROZEN_STAGES, constants.get(FROZEN_STAGES, known[FROZEN_STAGES])))


def _needs_weights(parameter: Parameter) -> bool:
    return tuple(parameter.when.get(INIT, ())) == (PRETRAINED,)


def _place(name: str, spec: JobSpec) -> str:
    """Where the spec says what values a parameter can have."""
    if name in spec.space.fix:
        return f"/space/fix/{name}"
    if name in spec.space.narrow:
        return f"/space/narrow/{name}"
    if isinstance(spec.space, InlineSpace):
        found = (f"/{index}" for index, one in enumerate(spec.space.parameters) if one.name == name)
        return f"/space/parameters{next(found, '')}"
    return "/space/name"

"""Checks of initial weights: the section `pretrained` of a spec against the parameters that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from searchsvc.domain import JobSpec, Parameter, Scalar
from searchsvc.domain.spec import InlineSpace
from searchsvc.errors import Fault
from searchsvc.service.lookup import checks
from searchsvc.spaces import Space
from searchsvc.spaces.recipe import FROZEN_STAGES, INIT, PRETRAINED, SCRATCH
from searchsvc.spaces.sharing import values_of


def faults(
    spec: JobSpec, space: Space, constants: Mapping[str, Scalar], defaults: Mapping[str, Scalar]
) -> Iterator[Fault]:
    """Yield the faults of `pretrained`, of `init` and of `frozen_stages`.

    `constants`: values that all trials share. `defaults`: default values of all parameters of the task.
    """
    if INIT not in defaults:
        if spec.pretrained is not None:
            yield Fault("/pretrained", f"trials of the task {spec.task} cannot start from other weights: leave it out")
        return
    inits = values_of(space, INIT, constants.get(INIT, defaults[INIT]))
    if PRETRAINED in inits and spec.pretrained is None:
        message = "name the weights to start from, as in `pretrained: {job: NAME}`"
        yield Fault(_pointer(INIT, spec), message)
    if SCRATCH in inits and _freezes(space, constants, defaults):
        message = f"random weights would be frozen: give it the condition `when: {{{INIT}: {PRETRAINED}}}`"
        yield Fault(_pointer(FROZEN_STAGES, spec), message)


def warnings(spec: JobSpec, space: Space, constants: Mapping[str, Scalar], defaults: Mapping[str, Scalar]) -> list[str]:
    """Warn of pretrained weights that no trial uses."""
    if spec.pretrained is None or PRETRAINED in values_of(space, INIT, constants.get(INIT, defaults[INIT])):
        return []
    return [f"no trial starts from the weights of `pretrained`: {INIT} is {SCRATCH} in all of them"]


def _freezes(space: Space, constants: Mapping[str, Scalar], defaults: Mapping[str, Scalar]) -> bool:
    """Return whether a trial that starts from random weights can have frozen stages."""
    if FROZEN_STAGES in space and _needs_weights(space[FROZEN_STAGES]):
        return False
    return any(values_of(space, FROZEN_STAGES, constants.get(FROZEN_STAGES, defaults[FROZEN_STAGES])))


def _needs_weights(parameter: Parameter) -> bool:
    return tuple(parameter.when.get(INIT, ())) == (PRETRAINED,)


def _pointer(name: str, spec: JobSpec) -> str:
    """Return the pointer to the part of the spec that gives the values of a parameter."""
    if name in spec.space.fix:
        return f"/space/fix/{name}"
    if name in spec.space.narrow:
        return f"/space/narrow/{name}"
    if isinstance(spec.space, InlineSpace):
        return checks.pointer_of(spec.space, name)
    return "/space/name"

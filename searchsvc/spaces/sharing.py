"""Which spaces can be searched with shared weights, by AutoHAS, and what their networks share.

| kind | networks | what is shared |
|---|---|---|
| FBNETV3 | one of the families of FBNetV3's make | leading channels and blocks, centres of kernels |
| RESNET | any of the ResNets | leading channels and blocks |
| FIXED | any one network whose architecture is fixed | all of it: hyperparameters alone are searched |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.domain.tasks import REPLICATE
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces import networks, recipe
from searchsvc.spaces.fbnetv3 import FAMILIES
from searchsvc.spaces.resnet import LAYERS
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import Space

SCHEDULE = ("warmup_epochs", "lr_decay")
"""Parameters of the recipe that shape a whole training: no single step tells a good value from a bad one."""
LABELLING = ("class_loss", "clean_folds")
"""Parameters of the recipe that say what is right: shared weights are trained by their defaults."""

START = (recipe.INIT, recipe.FROZEN_STAGES, recipe.LAYER_DECAY)
"""Those that say what the shared weights would start from, and that some of them would learn unlike others."""
BEFORE = (recipe.DATA_FRACTION, REPLICATE)
"""Those that are decided before a training begins."""

_WAY_OUT = "or use an algorithm that trains each candidate by itself (tpe, fbnetv3, evolution, random or another)"


class Kind(StrEnum):
    """How the networks of a space share weights."""

    FBNETV3 = "fbnetv3"
    RESNET = "resnet"
    FIXED = "fixed"


def check_sharable(space: Space, constants: Mapping[str, Scalar]) -> None:
    """Raise InvalidInput (pointers `/name`) for every parameter that shared weights cannot search.

    `constants` are values besides those of the space.
    """
    faults = [
        *_faults_of_networks(space, constants),
        *_faults_of_schedule(space, constants),
        *_faults_of_start(space, constants),
        *_faults_of_labels(space, constants),
    ]
    if faults:
        raise InvalidInput(faults)


def kind_of(space: Space, constants: Mapping[str, Scalar]) -> Kind:
    """How candidates share weights. Raises InvalidInput as `check_sharable`."""
    check_sharable(space, constants)
    kind = _kind(networks_of(space, constants))
    assert kind is not None
    return kind


def networks_of(space: Space, constants: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Names of the networks that candidates are of. Raises InvalidInput (`/network`) where there is none such."""
    default = constants.get(networks.NETWORK, networks.DEFAULTS[networks.CLASSIFICATION])
    named = values_of(space, networks.NETWORK, default)
    return tuple(networks.find({networks.NETWORK: name}).name for name in named)


def options_of(parameter: Parameter) -> tuple[Scalar, ...]:
    """Choices, whole numbers ascending, or the ends of a range of real numbers."""
    if isinstance(parameter, Categorical):
        return parameter.choices
    if isinstance(parameter, Integer):
        return tuple(range(parameter.low, parameter.high + 1, parameter.step))
    return (parameter.low, parameter.high)


def values_of(space: Space, name: str, default: Scalar) -> tuple[Scalar, ...]:
    """The options of a parameter, different ones; the default where the space lacks it, too where it has conditions."""
    if name not in space:
        return (default,)
    parameter = space[name]
    return tuple(dict.fromkeys((*options_of(parameter), *((default,) if parameter.when else ()))))


def _kind(named: tuple[str, ...]) -> Kind | None:
    if set(named) <= LAYERS.keys():
        return Kind.RESNET
    if len(named) > 1:
        return None
    return Kind.FBNETV3 if named[0] in FAMILIES else Kind.FIXED


def _faults_of_networks(space: Space, constants: Mapping[str, Scalar]) -> Iterator[Fault]:
    named = networks_of(space, constants)
    kind = _kind(named)
    if kind is None:
        reason = f"{', '.join(named)} have no weights in common: fix {networks.NETWORK} to one of them"
        yield Fault(f"/{networks.NETWORK}", f"{reason}, {_WAY_OUT}")
    if kind is Kind.FIXED:
        network = networks.NETWORKS[named[0]]
        for name in (*network.defaults, RESOLUTION):
            if len(values_of(space, name, constants.get(name, network.parameters[name]))) > 1:
                reason = f"networks of {network.name} share weights only where {name} is the same in all: fix it"
                yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_labels(space: Space, constants: Mapping[str, Scalar]) -> Iterator[Fault]:
    for name in LABELLING:
        default = recipe.CLASSIFICATION.defaults[name]
        if values_of(space, name, constants.get(name, default)) != (default,):
            reason = f"shared weights are trained with {name} {default}, and with nothing else: fix it to that"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_schedule(space: Space, constants: Mapping[str, Scalar]) -> Iterator[Fault]:
    for name in SCHEDULE:
        if len(values_of(space, name, constants.get(name, recipe.CLASSIFICATION.defaults[name]))) > 1:
            reason = f"{name} shapes a whole training, and shared weights judge a candidate by one step: fix it"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_start(space: Space, constants: Mapping[str, Scalar]) -> Iterator[Fault]:
    defaults = recipe.CLASSIFICATION.defaults
    for name in START:
        if set(values_of(space, name, constants.get(name, defaults[name]))) != {defaults[name]}:
            reason = f"shared weights start from random ones and all learn alike: {name} must be {defaults[name]}"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")
    for name in BEFORE:
        if len(values_of(space, name, constants.get(name, defaults[name]))) > 1:
            reason = f"{name} is decided before a training begins, and shared weights have only one: fix it"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")

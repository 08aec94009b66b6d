"""Spaces that AutoHAS can search with shared weights, and the parts that their networks share.

| kind | networks | shared parts |
|---|---|---|
| FBNETV3 | a single family of FBNetV3 networks | leading channels and blocks, centres of kernels |
| RESNET | any of the ResNets | leading channels and blocks |
| FIXED | any network with a fixed architecture | the whole network: only hyperparameters are searched |

Detectors have the kind FIXED. Their losses determine the branches of the head, so they are fixed with the architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar, value_key
from searchsvc.domain.trial_task import REPLICATE
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces import networks, recipe
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.fbnetv3.space import FAMILIES
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.ranges import levels, outside_reason
from searchsvc.spaces.resnet import LAYERS
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import Space

SCHEDULE = ("warmup_epochs", "lr_decay")
"""Recipe parameters that shape a whole training, so that a single step cannot tell good values from bad."""
LABELLING: Mapping[str, tuple[str, ...]] = MappingProxyType({"classification": ("class_loss", "clean_folds")})
"""Recipe parameters by task that decide which labels are correct. Shared weights are trained with their defaults."""

UNIFORM = (recipe.INIT, recipe.FROZEN_STAGES, recipe.LAYER_DECAY, recipe.SELF_TRAINING, "sample_weighting")
"""Recipe parameters that give some of the shared weights another start, learning rate or optimiser."""
PREPARATION = (recipe.DATA_FRACTION, REPLICATE)
"""Recipe parameters that are decided before a training begins."""

STRUCTURAL: Mapping[str, tuple[str, ...]] = MappingProxyType({"detection": ("class_loss", "boxes", "dfl_bins")})
"""Recipe parameters by task that determine which weights a network has."""

_ALTERNATIVE = "or use an algorithm that trains each candidate by itself (tpe, fbnetv3, evolution, random or another)"


_MOST_LISTED = 10_000


class WeightSharing(StrEnum):
    """Ways in which the networks of a space share weights."""

    FBNETV3 = "fbnetv3"
    RESNET = "resnet"
    FIXED = "fixed"


def check_sharable(space: Space, constants: Mapping[str, Scalar], task: str = networks.CLASSIFICATION) -> None:
    """Raise InvalidInput (pointers `/name`) for every parameter that shared weights cannot search.

    `constants` are values of parameters outside the space.
    """
    faults = [
        *_faults_of_networks(space, constants, task),
        *_faults_of_schedule(space, constants, task),
        *_faults_of_defaults(space, constants, task),
        *_faults_of_preparation(space, constants, task),
    ]
    if faults:
        raise InvalidInput(faults)


def kind_of(space: Space, constants: Mapping[str, Scalar]) -> WeightSharing:
    """Return the way in which candidates share weights. Raises InvalidInput as `check_sharable` does."""
    check_sharable(space, constants)
    kind = _kind(networks_of(space, constants))
    assert kind is not None
    return kind


def fixed_values(space: Space, constants: Mapping[str, Scalar], task: str) -> CompleteValues:
    """Return the values of the network that all candidates share, with its default recipe.

    For spaces of the kind FIXED. Raises InvalidInput as `check_sharable` and `networks.complete` do.
    """
    check_sharable(space, constants, task)
    [name] = networks_of(space, constants, task)
    defaults = {**networks.NETWORKS[name].parameters, **constants, NETWORK: name}
    shared = {gene: values_of(space, gene, defaults[gene])[0] for gene in _fixed_parameters(name)}
    return networks.complete({**defaults, **shared}, task)


def networks_of(space: Space, constants: Mapping[str, Scalar], task: str = networks.CLASSIFICATION) -> tuple[str, ...]:
    """Return the names of the networks in a space. Raises InvalidInput (`/network`) for an unknown network."""
    default = constants.get(NETWORK, networks.DEFAULTS[task])
    named = values_of(space, NETWORK, default)
    return tuple(networks.find({NETWORK: name}).name for name in named)


def options_of(parameter: Parameter) -> tuple[Scalar, ...]:
    """Return choices, whole numbers in ascending order, or the ends of a range of real numbers.

    A range of more than 10,000 whole numbers is represented by its ends: it is too long for any use of the list.
    """
    if isinstance(parameter, Categorical):
        return parameter.choices
    if isinstance(parameter, Integer) and levels(parameter) <= _MOST_LISTED:
        return tuple(range(parameter.low, parameter.high + 1, parameter.step))
    return (parameter.low, parameter.high)


def values_of(space: Space, name: str, default: Scalar) -> tuple[Scalar, ...]:
    """Return the distinct values of a parameter among candidates.

    They include the default if the parameter is inactive in a candidate or missing from the space.
    """
    active = _is_active(space, space[name]) if name in space else False
    options = () if active is False else options_of(space[name])
    return tuple(dict.fromkeys((*options, *(() if active else (default,)))))


def _is_active(space: Space, parameter: Parameter) -> bool | None:
    """Return whether a parameter is active in all candidates (True), in none (False), or in some (None)."""
    conditions = [_holds(space, space[other], wanted) for other, wanted in parameter.when.items()]
    return False if False in conditions else (None if None in conditions else True)


def _holds(space: Space, parameter: Parameter, wanted: Iterable[Scalar]) -> bool | None:
    """Return whether a parameter has a wanted value in all candidates (True), in none (False), or in some (None)."""
    accepted = {value_key(value) for value in wanted if outside_reason(parameter, value) is None}
    active = _is_active(space, parameter)
    if active is False or not accepted:
        return False
    return active if len(accepted) == levels(parameter) else None


def _fixed_parameters(network: str) -> tuple[str, ...]:
    """Return the parameters that must be equal in all candidates of a fixed network."""
    family = networks.NETWORKS[network]
    return (*family.defaults, RESOLUTION, *STRUCTURAL.get(family.task, ()))


def _kind(named: tuple[str, ...]) -> WeightSharing | None:
    if set(named) <= LAYERS.keys():
        return WeightSharing.RESNET
    if len(named) > 1:
        return None
    return WeightSharing.FBNETV3 if named[0] in FAMILIES else WeightSharing.FIXED


def _faults_of_networks(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    named = networks_of(space, constants, task)
    kind = _kind(named)
    if kind is None:
        reason = f"{', '.join(named)} have no weights in common: fix {NETWORK} to one of them"
        yield Fault(f"/{NETWORK}", f"{reason}, {_ALTERNATIVE}")
    if kind is WeightSharing.FIXED:
        network = networks.NETWORKS[named[0]]
        for name in _fixed_parameters(network.name):
            if len(values_of(space, name, constants.get(name, network.parameters[name]))) > 1:
                reason = f"networks of {network.name} share weights only if {name} is the same in all: fix it"
                yield Fault(f"/{name}", f"{reason}, {_ALTERNATIVE}")


def _faults_of_schedule(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    for name in SCHEDULE:
        if len(values_of(space, name, constants.get(name, recipe.TABLES[task].defaults[name]))) > 1:
            reason = f"{name} shapes a whole training, and shared weights judge a candidate by one step: fix it"
            yield Fault(f"/{name}", f"{reason}, {_ALTERNATIVE}")


def _faults_of_defaults(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    defaults = recipe.TABLES[task].defaults
    for name in (*UNIFORM, *LABELLING.get(task, ())):
        if name in defaults and values_of(space, name, constants.get(name, defaults[name])) != (defaults[name],):
            reason = f"shared weights start and learn alike, by one loss: {name} must be {defaults[name]}"
            yield Fault(f"/{name}", f"{reason}, {_ALTERNATIVE}")


def _faults_of_preparation(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    defaults = recipe.TABLES[task].defaults
    for name in PREPARATION:
        if len(values_of(space, name, constants.get(name, defaults[name]))) > 1:
            reason = f"{name} is decided before a training begins, and shared weights have only one: fix it"
            yield Fault(f"/{name}", f"{reason}, {_ALTERNATIVE}")

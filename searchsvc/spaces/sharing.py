"""Which spaces can be searched with shared weights, by AutoHAS, and what their networks share.

| kind | networks | what is shared |
|---|---|---|
| FBNETV3 | one of the families of FBNetV3's make | leading channels and blocks, centres of kernels |
| RESNET | any of the ResNets | leading channels and blocks |
| FIXED | any one network whose architecture is fixed | all of it: hyperparameters alone are searched |

Detectors are of the last kind. Their losses decide the branches of the head, so these are fixed with the architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from searchsvc.domain.parameters import Categorical, Integer, Parameter, Scalar
from searchsvc.domain.trial_task import REPLICATE
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces import networks, recipe
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.fbnetv3.space import FAMILIES
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resnet import LAYERS
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import Space

SCHEDULE = ("warmup_epochs", "lr_decay")
"""Parameters of the recipe that shape a whole training: no single step tells a good value from a bad one."""
LABELLING: Mapping[str, tuple[str, ...]] = MappingProxyType({"classification": ("class_loss", "clean_folds")})
"""By task: parameters of the recipe that say what is right: shared weights are trained by their defaults."""

ALIKE = (recipe.INIT, recipe.FROZEN_STAGES, recipe.LAYER_DECAY, recipe.SELF_TRAINING, "sample_weighting")
"""Those by which some of the shared weights would start, or learn, unlike others, or by an optimiser of their own."""
BEFORE = (recipe.DATA_FRACTION, REPLICATE)
"""Those that are decided before a training begins."""

DECISIVE: Mapping[str, tuple[str, ...]] = MappingProxyType({"detection": ("class_loss", "boxes", "dfl_bins")})
"""By task: parameters of the recipe that decide which weights there are."""

_WAY_OUT = "or use an algorithm that trains each candidate by itself (tpe, fbnetv3, evolution, random or another)"


class WeightSharing(StrEnum):
    """How the networks of a space share weights."""

    FBNETV3 = "fbnetv3"
    RESNET = "resnet"
    FIXED = "fixed"


def check_sharable(space: Space, constants: Mapping[str, Scalar], task: str = networks.CLASSIFICATION) -> None:
    """Raise InvalidInput (pointers `/name`) for every parameter that shared weights cannot search.

    `constants` are values besides those of the space.
    """
    faults = [
        *_faults_of_networks(space, constants, task),
        *_faults_of_schedule(space, constants, task),
        *_faults_of_defaults(space, constants, task),
        *_faults_of_beginnings(space, constants, task),
    ]
    if faults:
        raise InvalidInput(faults)


def kind_of(space: Space, constants: Mapping[str, Scalar]) -> WeightSharing:
    """How candidates share weights. Raises InvalidInput as `check_sharable`."""
    check_sharable(space, constants)
    kind = _kind(networks_of(space, constants))
    assert kind is not None
    return kind


def fixed_values(space: Space, constants: Mapping[str, Scalar], task: str) -> CompleteValues:
    """Return the values of the one network that all candidates share, with its default recipe.

    For spaces of the kind FIXED. Raises InvalidInput as `check_sharable` and `networks.complete` do.
    """
    check_sharable(space, constants, task)
    [name] = networks_of(space, constants, task)
    defaults = {**networks.NETWORKS[name].parameters, **constants, NETWORK: name}
    shared = {gene: values_of(space, gene, defaults[gene])[0] for gene in _same_in_all(name)}
    return networks.complete({**defaults, **shared}, task)


def networks_of(space: Space, constants: Mapping[str, Scalar], task: str = networks.CLASSIFICATION) -> tuple[str, ...]:
    """Names of the networks that candidates are of. Raises InvalidInput (`/network`) where there is none such."""
    default = constants.get(NETWORK, networks.DEFAULTS[task])
    named = values_of(space, NETWORK, default)
    return tuple(networks.find({NETWORK: name}).name for name in named)


def options_of(parameter: Parameter) -> tuple[Scalar, ...]:
    """Choices, whole numbers ascending, or the ends of a range of real numbers."""
    if isinstance(parameter, Categorical):
        return parameter.choices
    if isinstance(parameter, Integer):
        return tuple(range(parameter.low, parameter.high + 1, parameter.step))
    return (parameter.low, parameter.high)


def values_of(space: Space, name: str, default: Scalar) -> tuple[Scalar, ...]:
    """The different values of a parameter among candidates: the default where it is not active, or not in the space."""
    active = _is_active(space, space[name]) if name in space else False
    options = () if active is False else options_of(space[name])
    return tuple(dict.fromkeys((*options, *(() if active else (default,)))))


def _is_active(space: Space, parameter: Parameter) -> bool | None:
    """Whether all candidates have a value of it; None: some."""
    held = [_holds(space, space[other], wanted) for other, wanted in parameter.when.items()]
    return False if False in held else (None if None in held else True)


def _holds(space: Space, parameter: Parameter, wanted: Iterable[Scalar]) -> bool | None:
    """Whether it has one of the wanted values in all candidates; None: in some."""
    options, able = set(options_of(parameter)), set(wanted)
    active = _is_active(space, parameter)
    if active is False or options.isdisjoint(able):
        return False
    return active if options <= able else None


def _same_in_all(network: str) -> tuple[str, ...]:
    """Parameters that all candidates of a fixed network have in common."""
    found = networks.NETWORKS[network]
    return (*found.defaults, RESOLUTION, *DECISIVE.get(found.task, ()))


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
        yield Fault(f"/{NETWORK}", f"{reason}, {_WAY_OUT}")
    if kind is WeightSharing.FIXED:
        network = networks.NETWORKS[named[0]]
        for name in _same_in_all(network.name):
            if len(values_of(space, name, constants.get(name, network.parameters[name]))) > 1:
                reason = f"networks of {network.name} share weights only where {name} is the same in all: fix it"
                yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_schedule(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    for name in SCHEDULE:
        if len(values_of(space, name, constants.get(name, recipe.TABLES[task].defaults[name]))) > 1:
            reason = f"{name} shapes a whole training, and shared weights judge a candidate by one step: fix it"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_defaults(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    defaults = recipe.TABLES[task].defaults
    for name in (*ALIKE, *LABELLING.get(task, ())):
        if name in defaults and values_of(space, name, constants.get(name, defaults[name])) != (defaults[name],):
            reason = f"shared weights start and learn alike, by one loss: {name} must be {defaults[name]}"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")


def _faults_of_beginnings(space: Space, constants: Mapping[str, Scalar], task: str) -> Iterator[Fault]:
    defaults = recipe.TABLES[task].defaults
    for name in BEFORE:
        if len(values_of(space, name, constants.get(name, defaults[name]))) > 1:
            reason = f"{name} is decided before a training begins, and shared weights have only one: fix it"
            yield Fault(f"/{name}", f"{reason}, {_WAY_OUT}")

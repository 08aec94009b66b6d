"""Networks that a task can build, by name, and their properties before training.

The parameter `network` of a trial names the family; the other values describe the network and its training. A new
family needs a constant next to its space and an entry in `NETWORKS`.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import limits, mbconv, resnet
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.costs.latency import LatencyTable
from searchsvc.spaces.costs.model import NO_COSTS, CostModel, by_choice
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector import networks as detector
from searchsvc.spaces.fbnetv3 import networks as fbnetv3
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.network_family import NETWORK, NetworkFamily, OperatorTiming, Values
from searchsvc.spaces.space import Identity, Space

CLASSIFICATION = "classification"
DEFAULTS: Mapping[str, str] = MappingProxyType({CLASSIFICATION: "mbconv", "detection": "detector"})
"""Default family by task, for values that name no family."""

NETWORKS: Mapping[str, NetworkFamily] = MappingProxyType(
    {family.name: family for family in (*mbconv.NETWORKS, *fbnetv3.NETWORKS, *resnet.NETWORKS, *detector.NETWORKS)}
)

_NAME = Categorical(NETWORK, tuple(NETWORKS))


def find(values: Values, task: str = CLASSIFICATION) -> NetworkFamily:
    """Return the family that the values name, or the default of the task.

    Raises InvalidInput, pointer `/network`, for any other name.
    """
    name = values.get(NETWORK, DEFAULTS[task])
    if not isinstance(name, str) or name not in NETWORKS:
        raise InvalidInput.at(f"/{NETWORK}", f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name]


def families_of(task: str, space: Space, constants: Values) -> list[NetworkFamily]:
    """Return the families of a task that a space can describe, in the order of the parameter's choices."""
    named = (NETWORKS.get(name) for name in _names_of(task, space, constants))
    return [family for family in named if family is not None and family.task == task]


def complete(values: Values, task: str = CLASSIFICATION) -> CompleteValues:
    """Fill in the defaults of all other parameters of the network and its training; `task` as in `find`.

    Raises InvalidInput (pointers `/name`) if a value is unknown or beyond the limits.
    """
    family = find(values, task)
    limits.check_values(values, _limits_of([family]))
    return CompleteValues({**family.parameters, **values})


def defaults_of(task: str) -> dict[str, Scalar]:
    """Return the parameters of all networks of a task with their defaults; empty for a task without networks."""
    families = [family for family in NETWORKS.values() if family.task == task]
    own = {name: value for family in families for name, value in family.parameters.items()}
    return {**own, NETWORK: DEFAULTS[task]} if own else own


def cost_model_for(task: str, space: Space, info: DatasetInfo, constants: Values = MappingProxyType({})) -> CostModel:
    """Return the cost model of a space, or NO_COSTS if any of its names is unknown to the networks it can describe.

    `constants` are values of parameters outside the space. Raises InvalidInput (pointers `/0`, `/1`, ...) if a range
    reaches beyond the limits.
    """
    families = families_of(task, space, constants)
    parameters = {name for family in families for name in family.parameters}
    is_complete = families and len(families) == len(_names_of(task, space, constants))
    if not is_complete or not parameters.issuperset(space.names):
        return NO_COSTS
    limits.check_space(space, _limits_of(families))
    models = [
        family.cost_model(space, info, {**family.parameters, **constants, NETWORK: family.name}) for family in families
    ]
    return models[0] if len(models) == 1 else by_choice(space.names.index(NETWORK), models)


def stages_of(task: str, values: Values, info: DatasetInfo) -> list[Stage]:
    """Return the stages of the network that the values describe; missing values have their defaults.

    Raises InvalidInput if a value is beyond the limits, or if the network does not belong to the task.
    """
    family, whole = find(values, task), complete(values, task)
    if family.task != task:
        raise InvalidInput.at("", f"the stages of networks of {family.name} are not known for the task {task}")
    return family.stages(whole, info)


def check(task: str, space: Space, constants: Values, values: Values) -> None:
    """Raise InvalidInput (pointers `/name`) if a value does not fit the networks that a space can describe."""
    limits.check_values(values, _limits_of(families_of(task, space, constants)))


def identity_for(task: str, space: Space, constants: Values = MappingProxyType({})) -> Identity | None:
    """Return the identity of the networks of a space; None if different candidates are always different networks.

    `cost_model_for` must accept the space.
    """
    families = families_of(task, space, constants)
    if len(families) != 1 or len(_names_of(task, space, constants)) != 1 or families[0].identity is None:
        return None
    return families[0].identity(space, {**families[0].parameters, **constants})


def operators_for(space: Space, info: DatasetInfo, constants: Values) -> list[Operator]:
    """Return every operator of the networks of a space once.

    Raises InvalidInput if the networks are not cut into operators.
    """
    family = find(constants)
    return _timing_of(family).operators(space, info, {**family.parameters, **constants})


def latency_for(space: Space, info: DatasetInfo, constants: Values, table: LatencyTable) -> CostModel:
    """Return the latency of the candidates of a space. Raises InvalidInput if the table cannot give it."""
    family = find(constants)
    return _timing_of(family).cost_model(space, info, {**family.parameters, **constants}, table)


def _timing_of(family: NetworkFamily) -> OperatorTiming:
    if family.timing is None:
        timed = ", ".join(other.name for other in NETWORKS.values() if other.timing)
        raise InvalidInput.at("", f"{family.name} is not cut into operators to be timed; networks that are: {timed}")
    return family.timing


def _names_of(task: str, space: Space, constants: Values) -> tuple[str, ...]:
    """Return the names that the parameter `network` can have; empty if it is conditional or not a choice."""
    if NETWORK not in space:
        name = constants.get(NETWORK, DEFAULTS.get(task))
        return () if name is None else (str(name),)
    parameter = space[NETWORK]
    return tuple(map(str, parameter.choices)) if isinstance(parameter, Categorical) and not parameter.when else ()


def _limits_of(families: Iterable[NetworkFamily]) -> Limits:
    return ChainMap({NETWORK: _NAME}, *(dict(table) for family in families for table in family.all_limits))

"""The networks that a task can build, by name: what each is described by, and what it costs before it is trained.

The parameter `network` among the values of a trial says which one is built; the other values describe it and its
training. `workers.models.build` makes the network itself.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import limits, mbconv, recipe, resnet
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.costs.latency import LatencyTable
from searchsvc.spaces.costs.model import NO_COSTS, CostModel, Costs
from searchsvc.spaces.costs.operators import Operator
from searchsvc.spaces.costs.stages import Stage
from searchsvc.spaces.detector import costs as detector_costs
from searchsvc.spaces.detector import space as detector
from searchsvc.spaces.detector import stages as detector_stages
from searchsvc.spaces.fbnetv3 import costs as fbnetv3_costs
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3 import stages as fbnetv3_stages
from searchsvc.spaces.fbnetv3.identity import identity as fbnetv3_identity
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.resolution import at_resolutions
from searchsvc.spaces.space import Identity, Matrix, Space

Values = Mapping[str, Scalar]

NETWORK = "network"
"""The parameter that names the network."""
CLASSIFICATION = "classification"
DEFAULTS: Mapping[str, str] = MappingProxyType({CLASSIFICATION: "mbconv", "detection": "detector"})
"""By task: the network that values without a name describe."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How a family of networks is cut into operators; functions of a space, a dataset, and values besides the space."""

    operators: Callable[[Space, DatasetInfo, Values], list[Operator]]
    """All that candidates have."""
    cost_model: Callable[[Space, DatasetInfo, Values, LatencyTable], CostModel]
    """The sums of what a table says of them."""


@dataclass(frozen=True, slots=True)
class Network:
    """A family of networks, each described by the values of the family's parameters."""

    name: str
    task: str
    defaults: Values
    """Of its architecture parameters."""
    limits: Limits
    """Of the same parameters: what can be built."""
    cost_model: Callable[[Space, DatasetInfo, Values], CostModel] | None
    """For a space, a dataset, and the values of what the space does not give; None where costs are not known."""
    identity: Callable[[Space, Values], Identity] | None = None
    """For a space, and the values of what it does not give; None where different values are different networks."""
    timing: Timing | None = None
    """None where latency is not known before training."""
    stages: Callable[[Values, DatasetInfo], list[Stage]] | None = None
    """From complete values; None where it is not said what such a network is made of."""

    @property
    def parameters(self) -> Values:
        """All that describes such a network and its training, with defaults."""
        return {NETWORK: self.name, **self.defaults, **recipe.TABLES[self.task].defaults}


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        one.name: one
        for one in (
            Network(
                "mbconv",
                "classification",
                mbconv.DEFAULTS,
                mbconv.LIMITS,
                at_resolutions(mbconv.cost_model),
                stages=mbconv.stages,
            ),
            *(
                Network(
                    one.name,
                    "classification",
                    one.defaults,
                    fbnetv3.LIMITS,
                    fbnetv3_costs.cost_model(one),
                    fbnetv3_identity,
                    Timing(fbnetv3_costs.operators_of(one), fbnetv3_costs.latency_model(one)),
                    fbnetv3_stages.stages_of(one),
                )
                for one in fbnetv3.FAMILIES.values()
            ),
            *(
                Network(
                    name,
                    "classification",
                    resnet.DEFAULTS,
                    resnet.LIMITS,
                    at_resolutions(resnet.cost_model(name)),
                    stages=resnet.stages_of(name),
                )
                for name in resnet.LAYERS
            ),
            *(
                Network(
                    one.name,
                    "detection",
                    one.defaults,
                    detector.LIMITS,
                    detector_costs.cost_model,
                    detector.identity,
                    stages=detector_stages.stages,
                )
                for one in detector.FAMILIES.values()
            ),
        )
    }
)

_NAME = Categorical(NETWORK, tuple(NETWORKS))


def find(values: Values, task: str = CLASSIFICATION) -> Network:
    """The network that the values describe: where they do not name it, the default of the task.

    Raises InvalidInput, pointer `/network`, where there is none such.
    """
    name = values.get(NETWORK, DEFAULTS[task])
    if not isinstance(name, str) or name not in NETWORKS:
        raise InvalidInput.at(f"/{NETWORK}", f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name]


def complete(values: Values, task: str = CLASSIFICATION) -> CompleteValues:
    """Fill in the default of every other parameter of the network and of its training; `task` as in `find`.

    Raises InvalidInput (pointers `/name`) if a value is unknown or beyond what can be built and trained.
    """
    network = find(values, task)
    limits.check_values(values, _limits_of([network]))
    return CompleteValues({**network.parameters, **values})


def defaults_of(task: str) -> dict[str, Scalar]:
    """The parameters of all networks of a task, with their defaults."""
    own = {name: value for one in NETWORKS.values() if one.task == task for name, value in one.parameters.items()}
    return {**own, NETWORK: DEFAULTS[task]} if own else own


def cost_model_for(task: str, space: Space, info: DatasetInfo, constants: Values = MappingProxyType({})) -> CostModel:
    """The cost model of any space whose names are all known to the networks that it can describe; else NO_COSTS.

    `constants` are values besides those of the space. Raises InvalidInput (pointers `/0`, `/1`, ...) where a range
    reaches beyond what can be built or trained.
    """
    named = _named_by(task, space, constants)
    networks = [NETWORKS[name] for name in named if name in NETWORKS and NETWORKS[name].task == task]
    known = {name for one in networks for name in one.parameters}
    if len(networks) < len(named) or not known.issuperset(space.names):
        return NO_COSTS
    limits.check_space(space, _limits_of(networks))
    models = [
        one.cost_model and one.cost_model(space, info, {**one.parameters, **constants, NETWORK: one.name})
        for one in networks
    ]
    given = [one for one in models if one is not None]
    if not given or len(given) < len(named):
        return NO_COSTS
    return given[0] if len(given) == 1 else _by_network(space.names.index(NETWORK), given)


def stages_of(task: str, values: Values, info: DatasetInfo) -> list[Stage]:
    """What the network that the values describe is made of; what they leave out is as by default.

    Raises InvalidInput where a value is beyond what can be built, or where nothing is known of such networks.
    """
    network, whole = find(values, task), complete(values, task)
    if network.stages is None or network.task != task:
        raise InvalidInput.at("", f"it is not known what networks of {network.name} are made of")
    return network.stages(whole, info)


def check(task: str, space: Space, constants: Values, given: Values) -> None:
    """Raise InvalidInput (pointers `/name`) where one of `given` is not for the networks that a space can describe."""
    named = _named_by(task, space, constants)
    limits.check_values(given, _limits_of(one for one in NETWORKS.values() if one.task == task and one.name in named))


def identity_for(task: str, space: Space, constants: Values = MappingProxyType({})) -> Identity | None:
    """What tells the networks of a space apart; None where different candidates are always different networks.

    `space` is one that `cost_model_for` does not refuse.
    """
    named = _named_by(task, space, constants)
    network = NETWORKS.get(named[0]) if len(named) == 1 else None
    if network is None or network.task != task or network.identity is None:
        return None
    return network.identity(space, {**network.parameters, **constants})


def operators_for(space: Space, info: DatasetInfo, constants: Values) -> list[Operator]:
    """Every operator of the networks of a space, once. Raises InvalidInput where they are not cut into operators."""
    network, timing = _timed(constants)
    return timing.operators(space, info, {**network.parameters, **constants})


def latency_for(space: Space, info: DatasetInfo, constants: Values, table: LatencyTable) -> CostModel:
    """The latency of the candidates of a space. Raises InvalidInput where it cannot be told from the table."""
    network, timing = _timed(constants)
    return timing.cost_model(space, info, {**network.parameters, **constants}, table)


def _timed(constants: Values) -> tuple[Network, Timing]:
    network = find(constants)
    if network.timing is None:
        those = ", ".join(one.name for one in NETWORKS.values() if one.timing)
        raise InvalidInput.at("", f"{network.name} is not cut into operators to be timed; networks that are: {those}")
    return network, network.timing


def _named_by(task: str, space: Space, constants: Values) -> tuple[str, ...]:
    """The networks that candidates of a space can describe, in the order of their codes; none where it is unclear."""
    if NETWORK not in space:
        named = constants.get(NETWORK, DEFAULTS.get(task))
        return () if named is None else (str(named),)
    parameter = space[NETWORK]
    return tuple(map(str, parameter.choices)) if isinstance(parameter, Categorical) and not parameter.when else ()


def _limits_of(networks: Iterable[Network]) -> Limits:
    tables = (table for one in networks for table in (recipe.TABLES[one.task].limits, one.limits))
    return ChainMap({NETWORK: _NAME}, *map(dict, tables))


def _by_network(column: int, models: list[CostModel]) -> CostModel:
    """One cost model out of those of each network: `column` holds the index of the network."""

    metrics = tuple(dict.fromkeys(metric for model in models for metric in model.metrics))

    def costs(matrix: Matrix) -> Costs:
        result = {metric: np.full(len(matrix), np.nan) for metric in metrics}
        for code, model in enumerate(models):
            rows = np.flatnonzero(matrix[:, column] == code)
            for metric, values in model(matrix[rows]).items():
                result[metric][rows] = values
        return result

    return CostModel(metrics, costs)

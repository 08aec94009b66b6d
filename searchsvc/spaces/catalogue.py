"""The spaces that ship, by name, and the cost models that know them before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from searchsvc.domain.tasks import DatasetInfo
from searchsvc.errors import NotFound
from searchsvc.spaces import mbconv
from searchsvc.spaces.space import CostModel, Space


@dataclass(frozen=True, slots=True)
class ShippedSpace:
    """A space that a job's spec can name."""

    name: str
    description: str
    task: str
    space: Space
    cost_model: Callable[[Space, DatasetInfo], CostModel]
    """For the space itself or a fixed or narrowed form of it, and a dataset."""


@dataclass(frozen=True, slots=True)
class _Network:
    """What is known of the network that a task builds from the values of a candidate."""

    names: frozenset[str]
    check: Callable[[Space], None]
    cost_model: Callable[[Space, DatasetInfo], CostModel]


SPACES: Mapping[str, ShippedSpace] = MappingProxyType(
    {
        one.name: one
        for one in (
            ShippedSpace(
                "mbconv-small",
                "small MBConv networks and the recipe that trains them, for images of 8 to 64 px",
                "classification",
                mbconv.mbconv_small(),
                mbconv.cost_model,
            ),
        )
    }
)

_NETWORKS: Mapping[str, _Network] = MappingProxyType(
    {"classification": _Network(frozenset(mbconv.DEFAULTS), mbconv.check_space, mbconv.cost_model)}
)


def find(name: str) -> ShippedSpace:
    """The shipped space of that name. Raises NotFound, which lists the names there are."""
    if name not in SPACES:
        raise NotFound(f"no space {name!r}; there are {', '.join(sorted(SPACES))}")
    return SPACES[name]


def cost_model_for(task: str, space: Space, info: DatasetInfo) -> CostModel | None:
    """The cost model of any space whose names are all known to the task's network; None for other spaces and tasks.

    Raises InvalidInput (pointers `/0`, `/1`, ...) where a range reaches beyond what the network can be built with.
    """
    network = _NETWORKS.get(task)
    if network is None or not network.names.issuperset(space.names):
        return None
    network.check(space)
    return network.cost_model(space, info)

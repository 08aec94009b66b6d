"""The spaces that ship, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from searchsvc.domain.parameters import Scalar
from searchsvc.errors import NotFound
from searchsvc.spaces import mbconv
from searchsvc.spaces.space import Space


@dataclass(frozen=True, slots=True)
class ShippedSpace:
    """A space that a job's spec can name."""

    name: str
    description: str
    task: str
    space: Space
    constants: Mapping[str, Scalar] = field(default_factory=dict)
    """Values that all its candidates have besides their own: the network, the fixed part of the recipe."""


SPACES: Mapping[str, ShippedSpace] = MappingProxyType(
    {
        one.name: one
        for one in (
            ShippedSpace(
                "mbconv-small",
                "small MBConv networks and the recipe that trains them, for images of 8 to 64 px",
                "classification",
                mbconv.mbconv_small(),
            ),
        )
    }
)


def find(name: str) -> ShippedSpace:
    """The shipped space of that name. Raises NotFound, which lists the names there are."""
    if name not in SPACES:
        raise NotFound(f"no space {name!r}; there are {', '.join(sorted(SPACES))}")
    return SPACES[name]

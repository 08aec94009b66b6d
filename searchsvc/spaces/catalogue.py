"""Shipped search spaces by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from searchsvc.domain.parameters import Scalar
from searchsvc.errors import NotFound
from searchsvc.spaces import mbconv, recipe, resnet
from searchsvc.spaces.detector import space as detector
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.space import Space


@dataclass(frozen=True, slots=True)
class ShippedSpace:
    """A space that a job spec can name."""

    name: str
    description: str
    task: str
    space: Space
    constants: Mapping[str, Scalar] = field(default_factory=dict)
    """Values that all candidates share, outside the space: the network, the fixed part of the recipe."""


SPACES: Mapping[str, ShippedSpace] = MappingProxyType(
    {
        shipped.name: shipped
        for shipped in (
            ShippedSpace(
                "mbconv-small",
                "small MBConv networks and the recipe that trains them, for images of 8 to 64 px",
                "classification",
                mbconv.mbconv_small(),
            ),
            ShippedSpace(
                "fbnetv3",
                "the joint space of FBNetV3: 28 genes of the architecture, resolution, 7 of the recipe",
                "classification",
                fbnetv3.full_space(),
                {"network": "fbnetv3", **recipe.FBNETV3_CONSTANTS},
            ),
            ShippedSpace(
                "fbnetv3-released",
                "fbnetv3 with the additional genes of the released networks: FBNetV3-A and -B are members",
                "classification",
                fbnetv3.released_space(),
                {"network": "fbnetv3", **recipe.FBNETV3_CONSTANTS},
            ),
            ShippedSpace(
                "fbnetv3-small",
                "the genes of fbnetv3 over small ranges, for images of 8 to 64 px and training on CPUs",
                "classification",
                fbnetv3.small_space(),
                {"network": "fbnetv3-small", **recipe.FBNETV3_SHORT_CONSTANTS},
            ),
            ShippedSpace(
                "resnet-small",
                "small ResNets of timm with the recipe genes of fbnetv3-small, for the transfer of recipes",
                "classification",
                resnet.resnet_small(),
                recipe.FBNETV3_SHORT_CONSTANTS,
            ),
            ShippedSpace(
                "detector",
                "one-stage detectors and the recipe that trains them, for images of COCO's size",
                "detection",
                detector.full_space(),
                detector.FULL_CONSTANTS,
            ),
            ShippedSpace(
                "detector-small",
                "detectors with small widths, for images of 128 to 160 px and training on CPUs",
                "detection",
                detector.small_space(),
                detector.SMALL_CONSTANTS,
            ),
        )
    }
)


def find(name: str) -> ShippedSpace:
    """Return the shipped space with this name. Raises NotFound, whose message lists the names."""
    if name not in SPACES:
        raise NotFound(f"no space {name!r}; there are {', '.join(sorted(SPACES))}")
    return SPACES[name]

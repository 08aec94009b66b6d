"""From the values of a trial to the network that they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from torch import nn

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces import networks
from searchsvc.spaces.resolution import RESOLUTION, shape_at
from workers.models.mbconv import MBConvNet

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of one image."""

_BUILDERS: Mapping[str, Callable[[Mapping[str, Scalar], Shape, int], nn.Module]] = MappingProxyType(
    {"mbconv": MBConvNet}
)
"""Network -> its builder from complete values, the shape of an image as the network sees it, the number of classes."""


def build(values: Mapping[str, Scalar], shape: Shape, classes: int) -> nn.Module:
    """The network that `values["network"]` names: normalised images (n, c, h, w) -> logits (n, classes).

    `shape` is that of the dataset's images; where the values give a resolution, the network is one for that.
    `values` may leave out what has a default. Raises InvalidInput (pointers `/name`) where a value cannot be built.
    """
    known = networks.completed(values)
    return _BUILDERS[str(known[networks.NETWORK])](known, shape_at(shape, known[RESOLUTION]), classes)

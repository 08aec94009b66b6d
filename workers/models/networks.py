"""Builds the network that the values of a trial describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from torch import nn

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.detector import space as detector
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition, count
from searchsvc.spaces.fbnetv3.space import FbnetV3Family, definition_of
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resnet import LAYERS
from searchsvc.spaces.resolution import RESOLUTION, shape_at
from workers.models.detector import Detector
from workers.models.fbnetv3 import FBNetV3Net
from workers.models.mbconv import MBConvNet
from workers.models.resnet import resnet

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of an image."""
Builder: TypeAlias = Callable[[CompleteValues, Shape, int], nn.Module]
"""Builds a network from a candidate's values, the shape of an image resized for the network, and the number of classes.
"""


def fbnetv3_net(
    definition: NetworkDefinition, shape: Shape, classes: int, *, dropout: float = 0.0, drop_path: float = 0.0
) -> FBNetV3Net:
    """Build the network of a definition. Raises InvalidInput (pointers `/rows/i`) if maps of `shape` vanish in it."""
    count(definition, shape, classes)
    return FBNetV3Net(definition.layers, shape[0], classes, dropout=dropout, drop_path=drop_path)


def _fbnetv3_builder(family: FbnetV3Family) -> Builder:
    def made(values: CompleteValues, shape: Shape, classes: int) -> nn.Module:
        definition = definition_of(family, values, min(shape[1:]))
        return fbnetv3_net(definition, shape, classes, dropout=values["dropout"], drop_path=values["drop_path"])

    return made


_BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "mbconv": MBConvNet,
        **{one.name: _fbnetv3_builder(one) for one in fbnetv3.FAMILIES.values()},
        **dict.fromkeys(LAYERS, resnet),
        **dict.fromkeys(detector.FAMILIES, Detector.of),
    }
)


def build(values: CompleteValues, shape: Shape, classes: int) -> nn.Module:
    """Build the network that `values["network"]` names: a classifier, or a `Detector`.

    A classifier maps normalised images (n, c, h, w) to logits (n, classes).

    `shape` is the shape of the dataset's images; if the values give a resolution, the network is built for it.
    Raises InvalidInput (pointers `/name`) if a value cannot be built for this shape.
    """
    return _BUILDERS[values[NETWORK]](values, input_shape(values, shape), classes)


def input_shape(values: Mapping[str, Scalar], shape: Shape) -> Shape:
    """Return the shape of an image resized for the network: at the resolution in the values, if there is any."""
    return shape_at(shape, values.get(RESOLUTION, 0))

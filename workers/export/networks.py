"""The form of each kind of network in an exported script: a few plain values, and a function that builds the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from searchsvc.spaces import networks
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.fbnetv3.definition import BlockShape, Layers
from searchsvc.spaces.fbnetv3.space import FbnetV3Family, definition_of
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resnet import LAYERS
from workers.models.fbnetv3 import FBNetV3Net
from workers.models.mbconv import MBConvNet
from workers.models.resnet import resnet

Shape = tuple[int, int, int]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Writing:
    """A kind of network in a script."""

    describe: Callable[[Values, Shape], Values]
    """Returns the architecture in a script, from complete values and the shape of an image resized for the network."""
    build: Callable[[Values, Values, Shape, int], nn.Module]
    """Builds the network from architecture, recipe, shape and number of classes; a function that can be flattened."""
    comments: Mapping[str, str] = field(default_factory=dict)
    """Comments on entries of the description."""


def mbconv_net(architecture: Values, recipe: Values, shape: Shape, classes: int) -> nn.Module:
    """Build the network of the architecture, with the dropout and the stochastic depth of the recipe."""
    return MBConvNet({**architecture, **recipe}, shape, classes)


def resnet_net(architecture: Values, recipe: Values, shape: Shape, classes: int) -> nn.Module:
    """Build the network of the architecture, with the dropout and the stochastic depth of the recipe."""
    return resnet({**architecture, **recipe}, shape, classes)


def fbnetv3_net(architecture: Values, recipe: Values, shape: Shape, classes: int) -> nn.Module:
    """Build the network of the architecture, with the dropout and the stochastic depth of the recipe."""
    blocks = tuple(BlockShape(*one) for one in architecture["blocks"])
    layers = Layers(**{**architecture, "blocks": blocks})
    return FBNetV3Net(layers, shape[0], classes, dropout=recipe["dropout"], drop_path=recipe["drop_path"])


def _genes(values: Values, shape: Shape) -> Values:  # noqa: ARG001 - as the table has it
    return {name: values[name] for name in (NETWORK, *networks.find(values).defaults)}


def _layers(family: FbnetV3Family, values: Values, shape: Shape) -> Values:
    layers = definition_of(family, values, min(shape[1:])).layers
    described = {one.name: getattr(layers, one.name) for one in fields(layers)}
    return {**described, "blocks": tuple(astuple(block) for block in layers.blocks)}


_BLOCKS = {"blocks": ", ".join(one.name for one in fields(BlockShape))}

WRITINGS: Mapping[str, Writing] = MappingProxyType(
    {
        "mbconv": Writing(_genes, mbconv_net),
        **dict.fromkeys(LAYERS, Writing(_genes, resnet_net)),
        **{one.name: Writing(partial(_layers, one), fbnetv3_net, _BLOCKS) for one in fbnetv3.FAMILIES.values()},
    }
)
"""The form of every classifier of `searchsvc.spaces.networks`."""

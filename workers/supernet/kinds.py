"""The classes of networks that share weights, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.sharing import WeightSharing, kind_of
from searchsvc.spaces.space import Space
from workers.supernet.fbnetv3 import FBNetV3Supernet
from workers.supernet.fixed import FixedNetwork
from workers.supernet.network import Shape, SharedNetwork
from workers.supernet.resnet import ResNetSupernet

_NETWORKS: Mapping[WeightSharing, type[SharedNetwork]] = MappingProxyType(
    {WeightSharing.FBNETV3: FBNetV3Supernet, WeightSharing.RESNET: ResNetSupernet, WeightSharing.FIXED: FixedNetwork}
)


def shared_network(
    space: Space, shape: Shape, classes: int, constants: Mapping[str, Scalar] = MappingProxyType({})
) -> SharedNetwork:
    """Return the network that all candidates of a space share, for images of `shape`.

    `constants`: values that the space does not contain. Raises InvalidInput (pointers `/name`) if the candidates cannot
    share weights.
    """
    return _NETWORKS[kind_of(space, constants)](space, shape, classes, constants)

"""A network whose architecture is fixed: candidates differ in their hyperparameters alone, and share all weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from timm.layers import DropPath
from torch import Tensor, nn
from torch.func import functional_call

from searchsvc.domain.parameters import Scalar
from searchsvc.spaces.complete import CompleteValues
from workers.models.networks import build
from workers.supernet.layout import Layout, TensorPart, Tensors
from workers.supernet.network import SharedNetwork
from workers.supernet.normalise import Normalise
from workers.training.depthwise import with_strips

_DROPOUTS = ("dropout", "drop_rate")
"""What the classifier's dropout is called in our networks and in timm's."""
_DROP_PATH = 0.5
"""That the network is built with: without any, it would have no place for another."""


class FixedNetwork(SharedNetwork):
    """One architecture of any network."""

    def _largest(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        return {name: only for name, (only,) in options.items()}

    def _made(self, values: CompleteValues) -> nn.Module:
        made = with_strips(build(values.replaced({"drop_path": _DROP_PATH}), self._shape, self._classes))
        self._layout = {
            name: TensorPart(name, ()) for name in made.state_dict() if not name.endswith("num_batches_tracked")
        }
        self._regularisers = tuple(_regularisers(made))
        return made

    def _path_in(self, values: CompleteValues) -> FixedPath:
        return FixedPath(
            self.widest,
            self._layout,
            tuple((module, rate, values[name] * share) for module, rate, name, share in self._regularisers),
        )


@dataclass(frozen=True, slots=True)
class FixedPath:
    """The whole network, with the regularisation of a candidate."""

    network: nn.Module
    layout: Layout
    rates: tuple[tuple[nn.Module, str, float], ...]
    """Of the network's modules: an attribute, and what it is."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalise, *, regularised: bool) -> Tensor:
        """See `Path`."""
        self.network.train(regularised)
        for module, name, rate in self.rates:
            setattr(module, name, rate)
        for norm in self.network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                normalise.govern(norm)
        return functional_call(self.network, dict(tensors), (images,))  # type: ignore[no-any-return]


def _regularisers(network: nn.Module) -> Iterator[tuple[nn.Module, str, str, float]]:
    """Module, its attribute for a rate, the parameter of the recipe that it follows, and its share of that."""
    yield network, next(name for name in _DROPOUTS if hasattr(network, name)), "dropout", 1.0
    for module in network.modules():
        if isinstance(module, DropPath):
            yield module, "drop_prob", "drop_path", float(module.drop_prob) / _DROP_PATH

"""A network with a fixed architecture: candidates differ only in their hyperparameters, and share all weights."""

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
from workers.supernet.normalise import Normalisation
from workers.training.depthwise import with_strips

_DROPOUTS = ("dropout", "drop_rate")
"""Names of the classifier's dropout in our networks and in timm's."""
_DROP_PATH = 0.5
"""Rate that the network is built with; with a rate of 0 it would have no modules for stochastic depth."""


class FixedNetwork(SharedNetwork):
    """A single architecture of any network."""

    def _widest_values(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        return {name: only for name, (only,) in options.items()}

    def _build_widest(self, values: CompleteValues) -> nn.Module:
        network = with_strips(build(values.replaced({"drop_path": _DROP_PATH}), self._shape, self._classes))
        self._layout = {
            name: TensorPart(name, ()) for name in network.state_dict() if not name.endswith("num_batches_tracked")
        }
        self._regularisers = tuple(_regularisers(network))
        return network

    def _make_path(self, values: CompleteValues) -> FixedPath:
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
    """Module, attribute and rate of each regulariser."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalisation, *, regularised: bool) -> Tensor:
        """Return logits (n, K); see `Path`."""
        self.network.train(regularised)
        for module, name, rate in self.rates:
            setattr(module, name, rate)
        for norm in self.network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                normalise.configure(norm)
        return functional_call(self.network, dict(tensors), (images,))  # type: ignore[no-any-return]


def _regularisers(network: nn.Module) -> Iterator[tuple[nn.Module, str, str, float]]:
    """Yield, for each regulariser, the module, its attribute, the recipe's parameter, and the factor between them."""
    yield network, next(name for name in _DROPOUTS if hasattr(network, name)), "dropout", 1.0
    for module in network.modules():
        if isinstance(module, DropPath):
            yield module, "drop_prob", "drop_path", float(module.drop_prob) / _DROP_PATH

"""A network whose architecture is fixed: candidates differ in their hyperparameters alone, and share all weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timm.layers import DropPath
from torch import Tensor, nn
from torch.func import functional_call

from searchsvc.domain.parameters import Scalar
from workers.models.networks import build
from workers.supernet.network import SharedNetwork, Values
from workers.supernet.normalise import Normalise
from workers.supernet.parts import Layout, Part, Tensors
from workers.training.depthwise import with_strips

_DROPOUTS = ("dropout", "drop_rate")
"""What the classifier's dropout is called in our networks and in timm's."""
_DROP_PATH = 0.5
"""That the network is built with: without any, it would have no place for another."""


class FixedNetwork(SharedNetwork):
    """One architecture of any network."""

    def _largest(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        return {name: only for name, (only,) in options.items()}

    def _made(self, values: Values) -> nn.Module:
        made = with_strips(build({**values, "drop_path": _DROP_PATH}, self._shape, self._classes))
        self._layout = {name: Part(name, ()) for name in made.state_dict() if not name.endswith("num_batches_tracked")}
        drops = [one for one in made.modules() if isinstance(one, DropPath)]
        self._drop_paths = tuple((one, float(one.drop_prob) / _DROP_PATH) for one in drops)
        return made

    def _path_in(self, values: Values) -> FixedPath:
        return FixedPath(self.widest, self._layout, self._drop_paths, values["dropout"], values["drop_path"])


@dataclass(frozen=True, slots=True)
class FixedPath:
    """The whole network, with the regularisation of a candidate."""

    network: nn.Module
    layout: Layout
    drop_paths: tuple[tuple[DropPath, float], ...]
    """Each with its share of the probability."""
    dropout: float
    drop_path: float
    """Of the last block."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalise, *, regularised: bool) -> Tensor:
        """See `Path`."""
        self.network.train(regularised)
        for name in _DROPOUTS:
            if hasattr(self.network, name):
                setattr(self.network, name, self.dropout)
        for module, share in self.drop_paths:
            module.drop_prob = self.drop_path * share
        for norm in self.network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                normalise.govern(norm)
        return functional_call(self.network, dict(tensors), (images,))  # type: ignore[no-any-return]

"""What AutoHAS shares weights in: one network that holds every architecture of a space, one of which is active."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from searchsvc.domain.parameters import Scalar
from searchsvc.errors import Conflict
from searchsvc.spaces import networks
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.halves import RECIPE
from searchsvc.spaces.network_family import NETWORK
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.sharing import networks_of, options_of, values_of
from searchsvc.spaces.space import Space
from workers.models.networks import build
from workers.supernet.gates import lacking, masked
from workers.supernet.layout import Layout, Path, Tensors, check_within, views
from workers.supernet.normalise import BY_BATCH, BY_STATISTICS, measuring

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of one image of the dataset."""
_STATISTICS = ("running_mean", "running_var")


class SharedNetwork(nn.Module, ABC):
    """Shares weights as once-for-all networks do (arXiv 1908.09791): see `workers.supernet.layout`.

    In training it normalises by the batch, so the statistics of one path are never those of another. Before it is
    evaluated, `recalibrate` measures those of the active path. Kinds of networks differ in three methods.
    """

    widest: nn.Module
    """The network whose tensors are shared."""

    def __init__(
        self, space: Space, shape: Shape, classes: int, constants: Mapping[str, Scalar] = MappingProxyType({})
    ) -> None:
        """For images of `shape`, and a space of this kind; `constants` are values besides those of the space.

        The widest architecture is active at first.
        """
        super().__init__()
        named = networks_of(space, constants)
        self._constants, self._shape, self._classes = {NETWORK: named[0], **constants}, shape, classes
        self._options = {one.name: options_of(one) for one in space.parameters if one.name not in RECIPE}
        own = {name: value for one in named for name, value in networks.NETWORKS[one].defaults.items()}
        defaults = {**own, RESOLUTION: 0, **constants}
        options = {name: values_of(space, name, defaults[name]) for name in (*own, RESOLUTION)}
        values = self._complete(self._largest({NETWORK: named, **options}))
        self.widest = self._made(values)
        self._room = {name: tensor.shape for name, tensor in self.widest.state_dict().items()}
        self._values, self._path = values, self._path_of(values)
        self._measured: Path | None = None

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Make the architecture of a candidate the one that is run: nothing is copied or allocated for its weights.

        Raises InvalidInput where the space does not hold it.
        """
        known = self._complete(values)
        self._values, self._path = known, self._path_of(known)

    def active(self) -> dict[str, Tensor]:
        """The active path's part of the shared tensors, by the names of the standalone network: views."""
        return self.part(self.widest.state_dict(keep_vars=True))

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """The active path's part of tensors such as an optimiser's slots, each shaped and named as a parameter of
        `widest`: views, by the names of the standalone network.
        """
        return views(self._path.layout, shared)

    def gated(self, tensors: Tensors, coefficients: Tensors) -> dict[str, Tensor]:
        """Tensors of the active path with gradients to its architecture: the same numbers, see `gates`.

        `coefficients`: (k,) of genes of the candidate, in the order of their options; other names are passed over.
        """
        result = dict(tensors)
        for gene, options in self._options.items():
            if gene in coefficients:
                for name, lacks in lacking(self._path.layout, [self._with(gene, one) for one in options]).items():
                    result[name] = masked(result[name], lacks, coefficients[gene])
        return result

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (n, c, h, w) -> logits (n, K) of the active path.

        Raises Conflict in evaluation where its statistics have not been measured.
        """
        if self.training:
            return self.logits(images, self.active(), regularised=True)
        if self._measured != self._path:
            raise Conflict("the statistics are those of another path: recalibrate the active one before evaluation")
        return self._path.logits(images, self.active(), BY_STATISTICS, regularised=False)

    def logits(self, images: Tensor, tensors: Tensors, *, regularised: bool) -> Tensor:
        """Logits (n, K) of the active path with other tensors than the shared; normalised by the batch."""
        return self._path.logits(images, tensors, BY_BATCH, regularised=regularised)

    @torch.no_grad()
    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of the active path: their mean over batches of normalised images (n, c, h, w).

        They hold until weights change or another path is measured.
        """
        tensors = self.active()
        for number, images in enumerate(batches):
            self._path.logits(images, tensors, measuring(number), regularised=False)
            self._measured = self._path

    def extract(self, values: Mapping[str, Scalar]) -> nn.Module:
        """The network of a candidate by itself, with copies of its weights.

        Its statistics are the measured ones, where they are of the same path. Raises InvalidInput as `activate`.
        """
        known = self._complete(values)
        path = self._path_of(known)
        network = build(known, self._shape, self._classes).to(next(self.parameters()))
        state = network.state_dict()
        state |= {
            name: tensor
            for name, tensor in views(path.layout, self.widest.state_dict()).items()
            if path == self._measured or not name.endswith(_STATISTICS)
        }
        network.load_state_dict(state)
        return network.train(self.training)

    def _complete(self, values: Mapping[str, Scalar]) -> CompleteValues:
        return networks.complete({**self._constants, **values})

    def _path_of(self, values: CompleteValues) -> Path:
        path = self._path_in(values)
        check_within(path.layout, self._room)
        return path

    def _with(self, gene: str, option: Scalar) -> Layout:
        """Of the active architecture, but for one gene."""
        same = option == self._values[gene]
        return self._path.layout if same else self._path_in(self._values.replaced({gene: option})).layout

    @abstractmethod
    def _largest(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        """The values of the widest architecture, given all that each of its parameters can have."""

    @abstractmethod
    def _made(self, values: CompleteValues) -> nn.Module:
        """The widest network, of complete values."""

    @abstractmethod
    def _path_in(self, values: CompleteValues) -> Path:
        """The path of complete values. Raises InvalidInput where the widest network cannot hold it."""

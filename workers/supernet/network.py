"""The base of networks with shared weights: they contain every architecture of a space, one of which is active."""

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
"""(channels, height, width) of an image of the dataset."""
_STATISTICS = ("running_mean", "running_var")


class SharedNetwork(nn.Module, ABC):
    """Shares weights as once-for-all networks do (arXiv 1908.09791): see `workers.supernet.layout`.

    In training it normalises by the batch, so the statistics of paths do not mix. Before evaluation, `recalibrate`
    measures the statistics of the active path. Kinds of networks differ in three methods.
    """

    widest: nn.Module
    """The network whose tensors are shared."""

    def __init__(
        self, space: Space, shape: Shape, classes: int, constants: Mapping[str, Scalar] = MappingProxyType({})
    ) -> None:
        """Build the widest network for images of `shape`; its architecture is active at first.

        `constants`: values that the space does not contain.
        """
        super().__init__()
        named = networks_of(space, constants)
        self._constants, self._shape, self._classes = {NETWORK: named[0], **constants}, shape, classes
        self._options = {gene.name: options_of(gene) for gene in space.parameters if gene.name not in RECIPE}
        own = {name: value for network in named for name, value in networks.NETWORKS[network].defaults.items()}
        defaults = {**own, RESOLUTION: 0, **constants}
        options = {name: values_of(space, name, defaults[name]) for name in (*own, RESOLUTION)}
        values = self._complete(self._widest_values({NETWORK: named, **options}))
        self.widest = self._build_widest(values)
        self._available = {name: tensor.shape for name, tensor in self.widest.state_dict().items()}
        self._values, self._path = values, self._checked_path(values)
        self._measured: Path | None = None

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Make the architecture of a candidate active, without copying or allocating weights.

        Raises InvalidInput if the space does not contain it.
        """
        complete = self._complete(values)
        self._values, self._path = complete, self._checked_path(complete)

    def active(self) -> dict[str, Tensor]:
        """Return the active path's part of the shared tensors, by the names of the standalone network: views."""
        return self.part(self.widest.state_dict(keep_vars=True))

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """Return the active path's part of tensors such as an optimiser's slots: views.

        Each tensor must be shaped and named like a parameter of `widest`. The views have the names of the standalone
        network.
        """
        return views(self._path.layout, shared)

    def gated(self, tensors: Tensors, coefficients: Tensors) -> dict[str, Tensor]:
        """Return tensors of the active path with gradients to its architecture and the same numbers (see `gates`).

        `coefficients`: (k,) of genes of the candidate, in the order of their options; other names are ignored.
        """
        result = dict(tensors)
        for gene, options in self._options.items():
            if gene in coefficients:
                for name, lacks in lacking(self._path.layout, [self._with(gene, option) for option in options]).items():
                    result[name] = masked(result[name], lacks, coefficients[gene])
        return result

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, K) of the active path for normalised images (n, c, h, w).

        Raises Conflict in evaluation if the path's statistics have not been measured.
        """
        if self.training:
            return self.logits(images, self.active(), regularised=True)
        if self._measured != self._path:
            raise Conflict("the statistics are those of another path: recalibrate the active one before evaluation")
        return self._path.logits(images, self.active(), BY_STATISTICS, regularised=False)

    def logits(self, images: Tensor, tensors: Tensors, *, regularised: bool) -> Tensor:
        """Return logits (n, K) of the active path, computed with the given tensors and normalised by the batch."""
        return self._path.logits(images, tensors, BY_BATCH, regularised=regularised)

    @torch.no_grad()
    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of the active path: their mean over batches of normalised images (n, c, h, w).

        They are valid until weights change or another path is measured.
        """
        tensors = self.active()
        for number, images in enumerate(batches):
            self._path.logits(images, tensors, measuring(number), regularised=False)
            self._measured = self._path

    def extract(self, values: Mapping[str, Scalar]) -> nn.Module:
        """Return the standalone network of a candidate, with copies of its weights.

        It has the measured statistics if they belong to the same path. Raises InvalidInput as `activate` does.
        """
        complete = self._complete(values)
        path = self._checked_path(complete)
        network = build(complete, self._shape, self._classes).to(next(self.parameters()))
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

    def _checked_path(self, values: CompleteValues) -> Path:
        path = self._make_path(values)
        check_within(path.layout, self._available)
        return path

    def _with(self, gene: str, option: Scalar) -> Layout:
        """Return the layout of the active architecture with another option of a gene."""
        same = option == self._values[gene]
        return self._path.layout if same else self._make_path(self._values.replaced({gene: option})).layout

    @abstractmethod
    def _widest_values(self, options: Mapping[str, tuple[Any, ...]]) -> dict[str, Scalar]:
        """Return the values of the widest architecture, from all values that each of its parameters can have."""

    @abstractmethod
    def _build_widest(self, values: CompleteValues) -> nn.Module:
        """Build the widest network."""

    @abstractmethod
    def _make_path(self, values: CompleteValues) -> Path:
        """Return the path of complete values. Raises InvalidInput if the widest network cannot contain it."""

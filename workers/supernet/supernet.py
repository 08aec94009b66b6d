"""Supernet: every architecture of a space of FBNetV3's make in one network, whose weights they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.spaces import networks
from searchsvc.spaces.definition import Definition
from searchsvc.spaces.fbnetv3 import EXPANSIONS, FAMILIES, Family, definition_of
from searchsvc.spaces.space import Space
from workers.models.fbnetv3 import RowsNet
from workers.models.networks import build, input_shape, rows_net
from workers.supernet.forward import by_batch, by_statistics, logits, measuring
from workers.supernet.paths import Path, Tensors

Shape = tuple[int, int, int]
"""(channels, height, width) of one image."""


class Supernet(nn.Module):
    """Shares weights as once-for-all networks do (arXiv 1908.09791): see `workers.supernet.paths`.

    In training it normalises by the batch, so the statistics of one path are never those of another. Before it is
    evaluated, `recalibrate` measures those of the active path.
    """

    def __init__(
        self, space: Space, shape: Shape, classes: int, constants: Mapping[str, Scalar] = MappingProxyType({})
    ) -> None:
        """For images of `shape`; `constants` are values besides those of the space.

        Raises InvalidInput (`/network`) where the networks of the space cannot share weights. The widest architecture
        is active at first.
        """
        super().__init__()
        self._family = _family_of(space, constants)
        self._constants, self._shape, self._classes = dict(constants), shape, classes
        values = self._completed(_widest(space, self._family, constants))
        definition = self._definition(values)
        self.widest = rows_net(definition, shape, classes)
        _restore_first_scales(self.widest, definition)
        self._widest = self._path = Path.of(definition, definition, values)
        self._measured: Path | None = None

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Make the architecture of a candidate the one that is run: nothing is copied or allocated for its weights.

        Raises InvalidInput where the space does not hold it.
        """
        self._path = self._path_of(values)

    def active(self) -> dict[str, Tensor]:
        """The active path's part of the shared tensors, by the names of the standalone network: views."""
        return self._views(self._path)

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """The active path's part of tensors such as an optimiser's slots, each shaped and named as a parameter of
        `widest`: views, by the names of the standalone network.
        """
        return self._path.views(self._widest, shared)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (n, c, h, w) -> logits (n, K) of the active path.

        Raises Conflict in evaluation where its statistics have not been measured.
        """
        if self.training:
            return self.logits(images, self.active(), regularised=True)
        if self._measured != self._path:
            raise Conflict("the statistics are those of another path: recalibrate the active one before evaluation")
        return logits(self._path, self.active(), images, by_statistics, regularised=False)

    def logits(self, images: Tensor, tensors: Tensors, *, regularised: bool) -> Tensor:
        """Logits (n, K) of the active path with other tensors than the shared; normalised by the batch."""
        return logits(self._path, tensors, images, by_batch, regularised=regularised)

    @torch.no_grad()
    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Measure the statistics of the active path: their mean over batches of normalised images (n, c, h, w).

        They hold until weights change or another path is measured.
        """
        tensors = self.active()
        for number, images in enumerate(batches):
            logits(self._path, tensors, images, measuring(number), regularised=False)
            self._measured = self._path

    def extract(self, values: Mapping[str, Scalar]) -> nn.Module:
        """The network of a candidate by itself, with copies of its weights.

        Its statistics are the measured ones, where they are of the same path. Raises InvalidInput as `activate`.
        """
        path = self._path_of(values)
        network = build(self._named(values), self._shape, self._classes).to(next(self.parameters()))
        state = network.state_dict()
        state |= {
            name: tensor
            for name, tensor in self._views(path).items()
            if path == self._measured or not name.endswith(("running_mean", "running_var"))
        }
        network.load_state_dict(state)
        return network.train(self.training)

    def _views(self, path: Path) -> dict[str, Tensor]:
        return path.views(self._widest, self.widest.state_dict(keep_vars=True))

    def _path_of(self, values: Mapping[str, Scalar]) -> Path:
        known = self._completed(values)
        return Path.of(self._definition(known), self._widest.definition, known)

    def _definition(self, values: Mapping[str, Any]) -> Definition:
        return definition_of(self._family, values, min(input_shape(values, self._shape)[1:]))

    def _completed(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return networks.completed(self._named(values))

    def _named(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        return {**self._constants, **values, networks.NETWORK: self._family.name}


def _family_of(space: Space, constants: Mapping[str, Scalar]) -> Family:
    """The one family that all candidates are of. Raises InvalidInput (`/network`) where there is none."""
    named: tuple[Scalar, ...] = (constants.get(networks.NETWORK, networks.DEFAULTS[networks.CLASSIFICATION]),)
    if networks.NETWORK in space:
        parameter = space[networks.NETWORK]
        named = parameter.choices if isinstance(parameter, Categorical) else ()
    if len(named) == 1 and named[0] in FAMILIES:
        return FAMILIES[str(named[0])]
    message = (
        f"weights are shared within one of the networks {', '.join(FAMILIES)}, not {', '.join(map(str, named))}; "
        "every algorithm that trains each candidate by itself can search this space"
    )
    raise InvalidInput.at(f"/{networks.NETWORK}", message)


def _widest(space: Space, family: Family, constants: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The largest value of every gene of the architecture."""
    options = {name: _options(space, name, constants.get(name, own)) for name, own in family.defaults.items()}
    largest: dict[str, Any] = {name: max(those) for name, those in options.items()}
    for stage, (first, other) in EXPANSIONS.items():
        for own, instead in ((f"k{stage}b", f"k{stage}"), (other, first)):
            if 0 in options[own]:  # of the other blocks: 0 says as of the first
                largest[own] = max(largest[own], largest[instead])
    # A trimmed block has the weights of one that is not.
    return {**largest, **{name: False for name in largest if name.startswith("trim")}}


def _options(space: Space, name: str, own: Any) -> tuple[Any, ...]:
    """The ends or choices of a gene; `own` where the space does not give it."""
    if name not in space:
        return (own,)
    parameter = space[name]
    options = parameter.choices if isinstance(parameter, Categorical) else (parameter.low, parameter.high)
    return (*options, own) if parameter.when else options


def _restore_first_scales(widest: RowsNet, definition: Definition) -> None:
    """Undo that residual branches start as zero, where other paths have no residual: they would pass nothing on."""
    start = 0
    for group in definition.groups:
        block: Any = widest.blocks[start]
        nn.init.ones_((block.bn3 if hasattr(block, "bn3") else block.bn2).weight)
        start += group.n

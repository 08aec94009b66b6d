"""What an architecture takes of each tensor of the widest network: leading channels, and the centre of kernels.

Names are those that the tensors have in the network that `workers.models.build` makes of the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor

from searchsvc.errors import InvalidInput
from workers.supernet.normalise import Normalise

Tensors: TypeAlias = Mapping[str, Tensor]
"""Weights and running statistics by name."""


class Gate(Enum):
    """How a smaller option of the architecture would cut a tensor, for gradients to that choice."""

    CHANNELS = "the last of its channels"
    BRANCH = "the last of its channels, or all where the block goes: what is left is the shortcut"
    RINGS = "the outer rings of its kernels"


class TensorPart(NamedTuple):
    """Of one tensor of the widest network."""

    slot: str
    """Name of that tensor."""
    shape: tuple[int, ...]
    """Of its first axes; all of the others."""
    gate: Gate | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """Leading rows and columns, the centre of further axes: a view, or the tensor itself where that is all."""
        for axis, length in enumerate(self.shape):
            start = (tensor.shape[axis] - length) // 2 if axis > 1 else 0
            tensor = tensor.narrow(axis, start, length) if length < tensor.shape[axis] else tensor
        return tensor


Layout: TypeAlias = Mapping[str, TensorPart]
"""Of a whole architecture, by the names of the network by itself."""


class Path(Protocol):
    """An architecture within the widest network. Equal ones have the same layout and regularisation."""

    @property
    def layout(self) -> Layout:
        """Of its tensors."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalise, *, regularised: bool) -> Tensor:
        """Normalised images (n, c, h, w) -> logits (n, K). `regularised`: with dropout and stochastic depth."""


def norm(own: str, slot: str, channels: int, gate: Gate | None = None) -> Iterator[tuple[str, TensorPart]]:
    """Scale, shift and statistics of a normalisation, by own name."""
    for part in ("weight", "bias"):
        yield f"{own}.{part}", TensorPart(f"{slot}.{part}", (channels,), gate)
    for part in ("running_mean", "running_var"):
        yield f"{own}.{part}", TensorPart(f"{slot}.{part}", (channels,))


def views(layout: Layout, shared: Tensors) -> dict[str, Tensor]:
    """The parts of the shared tensors, as far as these have them: views, no copies."""
    return {name: part.of(shared[part.slot]) for name, part in layout.items() if part.slot in shared}


def check_within(layout: Layout, room: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InvalidInput where an architecture takes more than the widest network has."""
    for part in layout.values():
        if any(own > there for own, there in zip(part.shape, room.get(part.slot, (0,)), strict=False)):
            raise outside()


def outside() -> InvalidInput:
    """What to raise of an architecture that the widest network does not hold."""
    return InvalidInput.at("", "the supernet was made of a space that does not hold this architecture")

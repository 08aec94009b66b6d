"""The part of each tensor of the widest network that an architecture uses: leading channels, and the centre of kernels.

Tensors have the names that they have in the network that `workers.models.build` builds from the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol, TypeAlias

from torch import Tensor

from searchsvc.errors import InvalidInput
from workers.supernet.normalise import Normalisation

Tensors: TypeAlias = Mapping[str, Tensor]
"""Weights and running statistics by name."""


class Gate(Enum):
    """The cut that a smaller option of the architecture would make in a tensor; it gives that choice a gradient."""

    CHANNELS = "its last channels"
    BRANCH = "its last channels, or all if the block is absent: only the shortcut remains"
    RINGS = "the outer rings of its kernels"


class TensorPart(NamedTuple):
    """The part of a tensor of the widest network."""

    slot: str
    """Name of that tensor."""
    shape: tuple[int, ...]
    """Lengths of its first axes; the other axes are used completely."""
    gate: Gate | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """Return the leading rows and columns, and the centre of further axes.

        The result is a view, or the tensor itself if all of it is used.
        """
        for axis, length in enumerate(self.shape):
            start = (tensor.shape[axis] - length) // 2 if axis > 1 else 0  # kernels are cut around their centre
            tensor = tensor.narrow(axis, start, length) if length < tensor.shape[axis] else tensor
        return tensor


Layout: TypeAlias = Mapping[str, TensorPart]
"""Parts of a whole architecture, by the names of the standalone network."""


class Path(Protocol):
    """An architecture within the widest network. Equal paths have the same layout and regularisation."""

    @property
    def layout(self) -> Layout:
        """Parts of its tensors."""

    def logits(self, images: Tensor, tensors: Tensors, normalise: Normalisation, *, regularised: bool) -> Tensor:
        """Return logits (n, K) of normalised images (n, c, h, w). `regularised`: with dropout and stochastic depth."""


def norm(own: str, slot: str, channels: int, gate: Gate | None = None) -> Iterator[tuple[str, TensorPart]]:
    """Yield scale, shift and statistics of a normalisation, by own name."""
    for part in ("weight", "bias"):
        yield f"{own}.{part}", TensorPart(f"{slot}.{part}", (channels,), gate)
    for part in ("running_mean", "running_var"):
        yield f"{own}.{part}", TensorPart(f"{slot}.{part}", (channels,))


def views(layout: Layout, shared: Tensors) -> dict[str, Tensor]:
    """Return the parts of the shared tensors, without parts of absent tensors: views, no copies."""
    return {name: part.of(shared[part.slot]) for name, part in layout.items() if part.slot in shared}


def check_within(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InvalidInput if an architecture needs more than the widest network has."""
    for part in layout.values():
        if any(own > most for own, most in zip(part.shape, shapes.get(part.slot, (0,)), strict=False)):
            raise outside()


def outside() -> InvalidInput:
    """Return the error for an architecture that the widest network does not contain."""
    return InvalidInput.at("", "the supernet was made of a space that does not hold this architecture")

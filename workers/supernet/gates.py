"""Gradients of a loss to the choice of an architecture, by masks over the tensors of the chosen architecture.

| symbol | meaning | shape |
|---|---|---|
| c | coefficients of a gene with k options: one-hot, with gradients | (k,) |
| l | 1 if an option lacks a channel, ring or block of a tensor of the chosen architecture, else 0 | (k, m) |
| mask | 1 - c l | (m,) |

Let the options be in the order of their sizes. Then the part that option j has and option j - 1 lacks is multiplied by
the sum of the coefficients from option j on, since coefficients sum to 1. At the chosen option every mask is 1; at a
smaller option it cuts the network down to that option. The parts that larger options would add are not in the network
and have no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.supernet.layout import Gate, Layout, TensorPart


def lacking(own: Layout, options: Sequence[Layout]) -> dict[str, Tensor]:
    """Return l of each gated tensor of which an option has less: (k, m), or (k, 1, 1, rows, columns) of a kernel."""
    by_slot = [{part.slot: part for part in layout.values()} for layout in options]
    lacks: dict[str, Tensor] = {}
    for name, part in own.items():
        if part.gate is None:
            continue
        extents = [_extent(option.get(part.slot), part) for option in by_slot]  # k numbers
        if min(extents) < _size(part):
            places = _places(part)
            lacks[name] = places >= torch.tensor(extents).view(-1, *(1,) * places.ndim)  # (k, ...)
    return lacks


def masked(tensor: Tensor, lacks: Tensor, coefficients: Tensor) -> Tensor:
    """Return the tensor times its mask: the same numbers, with a gradient to the coefficients (k,)."""
    cut: Tensor = torch.tensordot(coefficients, lacks.to(coefficients), 1)  # (k,) x (k, ...) -> (...)
    mask = (1.0 - (cut - cut.detach())).to(tensor)  # exactly 1: only the gradient of c l remains
    return tensor * mask.view(*mask.shape, *(1,) * (tensor.ndim - mask.ndim))


def _size(part: TensorPart) -> int:
    """Return the number of channels, or of rings of a kernel."""
    return part.shape[2] // 2 + 1 if part.gate is Gate.RINGS else part.shape[0]


def _extent(option: TensorPart | None, part: TensorPart) -> int:
    """Return the number of channels or rings that an option has."""
    if option is None:
        return 0 if part.gate is Gate.BRANCH else _size(part)
    return _size(option)


def _places(part: TensorPart) -> Tensor:
    """Return the number of each channel (m,), or the ring of each weight of a kernel (1, 1, rows, columns)."""
    if part.gate is not Gate.RINGS:
        return torch.arange(part.shape[0])
    distances = (torch.arange(part.shape[2]) - part.shape[2] // 2).abs()  # (rows,) from the centre
    return torch.maximum(distances[:, None], distances)[None, None]

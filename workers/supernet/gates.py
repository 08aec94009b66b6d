"""Gradients of a loss to the choice of an architecture, by masks over the tensors of the chosen one.

| symbol | meaning | shape |
|---|---|---|
| c | coefficients of a gene with k options: one-hot, with gradients | (k,) |
| l | which options lack a channel, ring or block of a tensor of the chosen architecture: 1 or 0 | (k, m) |
| mask | 1 - c l | (m,) |

With options in the order of their sizes, what option j has and option j - 1 lacks carries the sum of the coefficients
of the options from j on, as coefficients sum to 1. At the chosen option every mask is 1; at a smaller one it cuts the
network down to that option. What larger options would add is not in the network and has no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workers.supernet.layout import Gate, Layout, TensorPart


def lacking(own: Layout, options: Sequence[Layout]) -> dict[str, Tensor]:
    """l of each gated tensor of which some option has less: (k, m), or (k, 1, 1, rows, columns) of a kernel."""
    by_slot = [{part.slot: part for part in layout.values()} for layout in options]
    found: dict[str, Tensor] = {}
    for name, part in own.items():
        if part.gate is None:
            continue
        extents = [_extent(one.get(part.slot), part) for one in by_slot]
        if min(extents) < _size(part):
            places = _places(part)
            found[name] = places >= torch.tensor(extents).view(-1, *(1,) * places.ndim)
    return found


def masked(tensor: Tensor, lacks: Tensor, coefficients: Tensor) -> Tensor:
    """The tensor times its mask: the same numbers, with a gradient to the coefficients (k,)."""
    taken: Tensor = torch.tensordot(coefficients, lacks.to(coefficients), 1)
    mask = (1.0 - (taken - taken.detach())).to(tensor)
    return tensor * mask.view(*mask.shape, *(1,) * (tensor.ndim - mask.ndim))


def _size(part: TensorPart) -> int:
    """Channels, or rings of a kernel."""
    return part.shape[2] // 2 + 1 if part.gate is Gate.RINGS else part.shape[0]


def _extent(option: TensorPart | None, part: TensorPart) -> int:
    """How many of these an option has."""
    if option is None:
        return 0 if part.gate is Gate.BRANCH else _size(part)
    return _size(option)


def _places(part: TensorPart) -> Tensor:
    """Which channel (m,), or which ring every weight of a kernel is in (1, 1, rows, columns)."""
    if part.gate is not Gate.RINGS:
        return torch.arange(part.shape[0])
    distances = (torch.arange(part.shape[2]) - part.shape[2] // 2).abs()
    return torch.maximum(distances[:, None], distances)[None, None]

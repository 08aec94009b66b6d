"""The two encodings of the distances from an anchor's centre to the four sides of its box, in strides.

A **Dirac** distance is one number per side, exp(z). A **general distribution** is B logits per side over the distances
0, 1, ..., B - 1 (Generalized Focal Loss, arXiv 2006.04388, section 3.2); the distance is its mean, the integral
sum_k k softmax(z)_k. Sides are l, t, r, b; the channels of a side are adjacent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LARGEST = math.log(1000.0)  # strides: keeps exp and its gradient finite
_SHORT_OF_LAST_BIN = 0.1  # strides: both neighbours of every target are bins


def channels(bins: int) -> int:
    """Return the number of channels of the box branch, for `bins` per side; 0 bins stand for a Dirac distance."""
    return 4 * max(1, bins)


def decode(raw: Tensor, bins: int) -> Tensor:
    """Decode outputs of the box branch (..., channels) to distances (..., 4), in strides."""
    return integral(by_side(raw, bins)) if bins else raw.clamp(max=_LARGEST).exp()


def by_side(raw: Tensor, bins: int) -> Tensor:
    """Reshape outputs of the box branch (..., 4 B) to logits of each side (..., 4, B)."""
    return raw.reshape(*raw.shape[:-1], 4, bins)


def integral(logits: Tensor) -> Tensor:
    """Return the mean (...) of each distribution with logits (..., B)."""
    distances = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)  # (B)
    return logits.softmax(-1) @ distances


def encode(distances: Tensor, bins: int) -> Tensor:
    """Return the mean that each distribution should have, in [0, B - 1.1], for true distances (...) in strides."""
    return distances.clamp(0, bins - 1 - _SHORT_OF_LAST_BIN)

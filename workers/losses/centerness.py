"""Centerness (FCOS, arXiv 1904.01355, equation 3): the closeness of a location to the centre of its object.

::

    c = sqrt(min(l, r) / max(l, r)  min(t, b) / max(t, b)),   loss = BCE(sigmoid(z), c)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def centerness(distances: Tensor) -> Tensor:
    """Return c in (0, 1], (...), for distances l, t, r, b (..., 4), all positive."""
    low, high = distances[..., :2], distances[..., 2:]  # l, t and r, b
    return (torch.minimum(low, high) / torch.maximum(low, high)).prod(-1).sqrt()  # (..., 2), then (...)


def centerness_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each location (n), from logits (n) and c (n)."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

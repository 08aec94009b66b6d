"""Focal loss (arXiv 1708.02002, equation 5).

::

    FL = sum_c alpha_t (1 - p_t)^gamma (-log p_t),   p_t = sigma_c for the class of the anchor, 1 - sigma_c for others

alpha_t is alpha for the class of the anchor and 1 - alpha for the others. Shapes: n anchors, K classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Return the loss of each anchor (n), from logits (n, K) and targets (n, K) of 0 and 1."""
    misses = (targets - logits.sigmoid()).abs()  # 1 - p_t
    balance = 1 - alpha + (2 * alpha - 1) * targets  # (n, K): alpha_t
    return (balance * misses.pow(gamma) * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")).sum(-1)

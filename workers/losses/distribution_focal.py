"""Distribution Focal Loss (Generalized Focal Loss, arXiv 2006.04388, equation 6).

::

    DFL = -(i + 1 - t) log p_i - (t - i) log p_{i+1},   i = floor(t),   p = softmax of the bins 0, 1, ..., B - 1

It draws the mass of a side's distribution to the two bins next to its distance t, in strides.
"""

from __future__ import annotations

from torch import Tensor


def distribution_focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each side (...), from logits (..., B) and distances t (...) in [0, B - 1)."""
    left = targets.long()  # (...)
    share = (targets - left).unsqueeze(-1)  # of the right bin, (..., 1)
    log_p = logits.log_softmax(-1)  # (..., B)
    at_left, at_right = log_p.gather(-1, left.unsqueeze(-1)), log_p.gather(-1, left.unsqueeze(-1) + 1)  # (..., 1) each
    return -((1 - share) * at_left + share * at_right).squeeze(-1)

"""Quality Focal Loss (Generalized Focal Loss, arXiv 2006.04388, equation 2).

::

    QFL = sum_c |y_c - sigma_c|^beta  BCE(sigma_c, y_c),   sigma = sigmoid(z)

For the class of a positive anchor, y is the IoU of the predicted box with its object; otherwise y is 0. There is no
alpha, and the gradient also flows through the sigma of the modulating factor.
Shapes: n anchors, K classes.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def quality_focal_loss(logits: Tensor, targets: Tensor, beta: float = 2.0) -> Tensor:
    """Return the loss of each anchor (n), from logits (n, K) and qualities y (n, K) in [0, 1]."""
    modulation = (targets - logits.sigmoid()).abs().pow(beta)  # (n, K)
    return (modulation * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")).sum(-1)

"""GIoU loss (arXiv 1902.09630): L = 1 - GIoU, GIoU = I / U - (E - U) / E, E the least box around both.

U and E are at least epsilon. The loss does not depend on the scale: boxes may be in px or in strides.
"""

from __future__ import annotations

from torch import Tensor

from workers.models.boxes import EPSILON, Boxes


def giou_loss(predicted: Boxes, targets: Boxes, epsilon: float = EPSILON) -> Tensor:
    """Return the loss of each pair of boxes (..., 4): (...), from 0 for equal boxes to 2."""
    return 1 - predicted.giou(targets, epsilon)

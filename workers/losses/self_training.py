"""The loss of a student that learns from labels and from pseudo-labels (arXiv 2006.06882, "loss normalisation").

::

    L      = (L_h + alpha (mean_h / mean_p) L_p) / (1 + alpha)
    mean  <- m mean + (1 - m) L                                     of either loss, starting at its first value

| symbol | meaning | shape |
|---|---|---|
| L_h, L_p | losses of the labelled and of the pseudo-labelled images of a step | () |
| mean_h, mean_p | their moving averages, the step included; constants: no gradient flows through them | () |
| alpha | the contribution of pseudo-labels relative to labels, whatever the scales of the two losses | |
| m | 0.99 | |

L has the size of L_h, so that the learning rate for the labelled images alone suits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.99
_LEAST_MEAN = 1e-6
"""The least value of mean_p in the denominator."""


class JointLoss:
    """Maintains the two averages on the device of the losses, so that a step needs no synchronisation."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._means: Tensor | None = None  # (2): mean_h, mean_p

    def __call__(self, labelled: Tensor, pseudo: Tensor) -> Tensor:
        """Update both averages with a step's losses, and return L."""
        losses = torch.stack([labelled, pseudo]).detach()  # (2)
        self._means = losses if self._means is None else torch.lerp(losses, self._means, _MOMENTUM)  # (2)
        return normalised(labelled, pseudo, self._means, self._alpha)

    def state(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {"means": self._means}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()`."""
        self._means = state["means"]


def normalised(labelled: Tensor, pseudo: Tensor, means: Tensor, alpha: float) -> Tensor:
    """Return L from L_h, L_p and the averages (2)."""
    mean_labelled, mean_pseudo = means.detach().unbind()  # () each
    return (labelled + alpha * mean_labelled / mean_pseudo.clamp(min=_LEAST_MEAN) * pseudo) / (1.0 + alpha)

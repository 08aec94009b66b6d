"""Exponential moving average of weights, by the rule of timm's ModelEmaV3 (used for FBNetV3, arXiv 2006.02049).

theta_e <- d theta_e + (1 - d) theta after every step of the optimiser, for parameters and for the running statistics of
batch normalisation; whole numbers (the count of batches) are copied.
"""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

_WARM_UP_POWER = 2 / 3


def decay_at(step: int, decay: float) -> float:
    """Return the decay d of update k = 1, 2, ...: min(d, 1 - k^(-2/3)).

    The first update copies the weights, and early updates forget faster.
    """
    return min(decay, 1.0 - math.pow(step, -_WARM_UP_POWER))


class WeightAverage:
    """An averaged copy of a model. Lists of tensors are built once, so that an update takes two calls."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self._averaged, self._averages = _pairs(model, self.module, floating=True)
        self._counted, self._counts = _pairs(model, self.module, floating=False)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after step 1, 2, ... of the optimiser."""
        torch._foreach_lerp_(self._averages, self._averaged, weight=1.0 - decay_at(step, self.decay))
        if self._counts:
            torch._foreach_copy_(self._counts, self._counted)


def _pairs(model: nn.Module, copy: nn.Module, *, floating: bool) -> tuple[list[Tensor], list[Tensor]]:
    pairs = [
        (source, target)
        for source, target in zip(model.state_dict().values(), copy.state_dict().values(), strict=True)
        if source.is_floating_point() == floating
    ]
    return [source for source, _ in pairs], [target for _, target in pairs]

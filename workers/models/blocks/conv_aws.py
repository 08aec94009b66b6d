"""Convolution with adaptive weight standardisation (ConvAWS; DetectoRS, arXiv 2006.02334, section 4.3).

::

    W_eff[o] = gamma[o] (W[o] - mean_o) / sqrt(var_o + 1e-5) + beta[o]

mean_o and var_o (unbiased) are the statistics of filter o over inputs and kernel; gamma and beta are buffers, not
trained. They are 1 and 0 in a network trained from scratch (plain weight standardisation). If a state dict has no gamma
and beta, they become sqrt(var + 1e-5) and mean of its weights, so that W_eff equals these weights at the start.

Shapes: n images, c inputs, o outputs, g groups, k x k kernel, h x w px.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from searchsvc.errors import InvalidInput

_EPSILON = 1e-5


class ConvAWS(nn.Conv2d):
    """A convolution with the arguments of nn.Conv2d.

    Raises InvalidInput (pointer `/kernel_size`) if a filter has a single weight, which has no variance.
    """

    gamma: Tensor  # (o, 1, 1, 1)
    beta: Tensor  # (o, 1, 1, 1)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.weight[0].numel() == 1:
            raise InvalidInput.at("/kernel_size", "a filter of one weight cannot be standardised; use more inputs")
        self.register_buffer("gamma", torch.ones(self.out_channels, 1, 1, 1))
        self.register_buffer("beta", torch.zeros(self.out_channels, 1, 1, 1))

    def effective_weight(self) -> Tensor:
        """Return the standardised weight, (o, c / g, k, k)."""
        mean, deviation = _statistics(self.weight)  # (o, 1, 1, 1) each
        return self.gamma * (self.weight - mean) / deviation + self.beta  # (o, c / g, k, k)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, o, h', w')."""
        out: Tensor = self._conv_forward(maps, self.effective_weight(), self.bias)
        return out

    def _load_from_state_dict(self, state_dict: MutableMapping[str, Any], prefix: str, *rest: Any) -> None:
        """Load a standardised or a plain convolution. `state_dict` is load_state_dict's copy, which may be completed.
        """
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and f"{prefix}gamma" not in state_dict and f"{prefix}beta" not in state_dict:
            beta, gamma = _statistics(weight.detach())  # (o, 1, 1, 1) each: W_eff = W
            state_dict.update({f"{prefix}gamma": gamma, f"{prefix}beta": beta})
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _statistics(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each filter: (o, c / g, k, k) -> two of (o, 1, 1, 1)."""
    variance, mean = torch.var_mean(weight, (1, 2, 3), keepdim=True)  # (o, 1, 1, 1) each
    return mean, (variance + _EPSILON).sqrt()

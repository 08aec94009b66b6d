"""Where weights start, for the blocks that start as something simpler than they are."""

from __future__ import annotations

from torch import nn


def at_zero(layer: nn.Module) -> None:
    """Weights and biases as 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def small(conv: nn.Conv2d) -> None:
    """Weights as N(0, 0.01^2), bias as 0."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)

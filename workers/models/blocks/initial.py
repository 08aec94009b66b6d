"""Initial weights of blocks that start as the identity or another simple function."""

from __future__ import annotations

from torch import nn


def at_zero(layer: nn.Module) -> None:
    """Set weights and biases to 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def small(conv: nn.Conv2d) -> None:
    """Draw weights from N(0, 0.01^2), and set the bias to 0."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)

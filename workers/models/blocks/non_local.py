"""Non-local block, embedded Gaussian (arXiv 1711.07971, section 3.2): the control for `dnl`.

::

    y_i = sum_j w_ij g(x_j),   w_ij = softmax_j(theta(x_i) . phi(x_j) / (sqrt(c') T))
    out = x + conv_out(y)

theta, phi, g and conv_out are 1 x 1 convolutions with bias; all positions j of the image are keys, without
subsampling. T is 1 here. The block starts as the identity: weights of theta, phi and g as N(0, 0.01^2), conv_out as 0.
If batch normalisation follows conv_out (which has no bias then), its scale starts as 0 instead.

Shapes: n images, c channels, c' = c / reduction, h x w px.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from workers.models.blocks import initial


class NonLocal(nn.Module):
    """A block that keeps the shape (n, c, h, w). `norm`: batch normalisation after conv_out."""

    def __init__(self, channels: int, *, reduction: int = 2, temperature: float = 1.0, norm: bool = False) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)  # c'
        self.scale = 1 / (math.sqrt(inner) * temperature)  # 1 / (sqrt(c') T)
        self.theta, self.phi, self.g = (nn.Conv2d(channels, inner, 1) for _ in range(3))
        for conv in (self.theta, self.phi, self.g):
            initial.small(conv)
        self.conv_out = nn.Conv2d(inner, channels, 1, bias=not norm)
        self.bn = nn.BatchNorm2d(channels) if norm else nn.Identity()
        if norm:
            nn.init.kaiming_normal_(self.conv_out.weight, mode="fan_out", nonlinearity="relu")
        initial.at_zero(self.bn if norm else self.conv_out)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, h, w)."""
        gathered = self.gathered(maps, tokens(self.g(maps)))  # (n, hw, c')
        added: Tensor = self.bn(self.conv_out(unflattened(gathered, maps)))  # (n, c, h, w)
        return maps + added

    def gathered(self, maps: Tensor, values: Tensor) -> Tensor:
        """Gather values for each position: maps (n, c, h, w), values (n, hw, d) -> (n, hw, d)."""
        return self.pairwise(maps, values)

    def pairwise(self, maps: Tensor, values: Tensor) -> Tensor:
        """Weigh values by the similarity of positions: (n, c, h, w), (n, hw, d) -> (n, hw, d)."""
        return attend(tokens(self.theta(maps)), tokens(self.phi(maps)), values, self.scale)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Return softmax(scale query key^T) value, by a fused kernel: (n, hw, c'), (n, hw, c'), (n, hw, d) -> (n, hw, d).
    """
    # with a head axis: (n, 1, hw, d)
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=scale)[:, 0]


def tokens(maps: Tensor) -> Tensor:
    """Reorder (n, c, h, w) to (n, hw, c)."""
    return maps.flatten(2).transpose(1, 2)  # (n, c, hw), then (n, hw, c)


def unflattened(sequence: Tensor, maps: Tensor) -> Tensor:
    """Reorder (n, hw, d) to (n, d, h, w), with the h and w of `maps`."""
    return sequence.transpose(1, 2).reshape(-1, sequence.shape[2], *maps.shape[-2:])

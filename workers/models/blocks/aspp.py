"""Atrous spatial pyramid pooling in DetectoRS' form (arXiv 2006.02334, section 3.2; DeepLab, arXiv 1606.00915).

::

    F = concat(relu(conv1(P)), relu(conv3(P, d_1)), ..., relu(conv1(GAP(P))))

Every branch has bias, no normalisation, and an equal share of the channels: a 1 x 1 convolution, 3 x 3 convolutions of
dilation and padding d, and a 1 x 1 convolution of the global mean, expanded to the size of the map.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from searchsvc.errors import InvalidInput


class ASPP(nn.Module):
    """A layer from `channels` to `outputs` channels, with a 3 x 3 branch per dilation.

    Weights start as N(0, 2 / (k k c_out)), with c_out the channels of the branch; biases start as 0. Raises
    InvalidInput (pointer `/channels`) if `outputs` is not a multiple of the number of branches.
    """

    def __init__(self, channels: int, outputs: int, dilations: Sequence[int] = (3, 6)) -> None:
        super().__init__()
        count = len(dilations) + 2  # branches: dilated, 1 x 1, and pooled
        if outputs % count:
            raise InvalidInput.at("/channels", f"{outputs} channels do not divide among the {count} branches of ASPP")
        share = outputs // count
        local = [nn.Conv2d(channels, share, 3, padding=rate, dilation=rate) for rate in dilations]
        self.branches = nn.ModuleList([nn.Conv2d(channels, share, 1), *local, nn.Conv2d(channels, share, 1)])
        self.apply(_initialise)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, channels, h, w) to (n, outputs, h, w)."""
        *local, pooled = self.branches
        whole = pooled(maps.mean((2, 3), keepdim=True))  # (n, share, 1, 1)
        parts = [conv(maps) for conv in local]  # (n, share, h, w) each
        return torch.cat([*parts, whole.expand_as(parts[0])], 1).relu_()  # (n, outputs, h, w)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)

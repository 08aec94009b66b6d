"""Disentangled non-local block (DNL, arXiv 2006.06668, section 4), in the two published forms.

::

    y_i = sum_j (softmax_j(s (q_i - mu_q) . (k_j - mu_k)) + softmax_j(m(x_j))) v(x_j)

The first weight is pairwise and whitened, the second unary: m is a 1 x 1 convolution to one channel with weights of its
own. q, k and v are 1 x 1 convolutions; all positions j are keys.

| form | out | s | mu | at the start |
|---|---|---|---|---|
| `DisentangledNonLocal` (mmsegmentation) | x + conv_out(y) | 1 / (sqrt(c') T) | per channel | identity |
| `OfficialDisentangledNonLocal` (authors' code) | x + gamma pairwise + unary | 1 | `centre` | x + unary |

Shapes: n images, c channels, c' = c / reduction, h x w px.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from workers.models.blocks import initial
from workers.models.blocks.non_local import NonLocal, attend, tokens, unflattened

Centre: TypeAlias = Literal["layer", "channel"]


class DisentangledNonLocal(NonLocal):
    """A block that keeps the shape (n, c, h, w); options as in NonLocal. m has PyTorch's default initialisation."""

    def __init__(self, channels: int, *, reduction: int = 2, temperature: float = 0.05, norm: bool = False) -> None:
        super().__init__(channels, reduction=reduction, temperature=temperature, norm=norm)
        self.conv_mask = nn.Conv2d(channels, 1, 1)  # m, for the unary weight

    def gathered(self, maps: Tensor, values: Tensor) -> Tensor:
        """Gather values with both weights: maps (n, c, h, w), values (n, hw, d) -> (n, hw, d)."""
        return self.pairwise(maps, values) + unary(self.conv_mask(maps), values)

    def pairwise(self, maps: Tensor, values: Tensor) -> Tensor:
        """Gather values with the whitened weight: (n, c, h, w), (n, hw, d) -> (n, hw, d)."""
        query, key = (centred(tokens(conv(maps)), "channel") for conv in (self.theta, self.phi))  # (n, hw, c') each
        return attend(query, key, values, self.scale)


class OfficialDisentangledNonLocal(nn.Module):
    """A block that keeps the shape (n, c, h, w), as in the authors' code.

    `centre`: means over channels and positions together (`layer`, the authors' configurations), or per channel
    (`channel`, the paper's formula). There is neither scale nor temperature; instead, the weights of q and k are exempt
    from decay. v has c channels and no bias, and no convolution follows it. gamma starts at 0, all weights as N(0,
    0.01^2), biases as 0.
    """

    def __init__(self, channels: int, *, reduction: int = 2, centre: Centre = "layer") -> None:
        super().__init__()
        inner = max(channels // reduction, 1)  # c'
        self.centre: Centre = centre
        self.conv_query, self.conv_key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.conv_value = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        for conv in (self.conv_query, self.conv_key, self.conv_value, self.conv_mask):
            initial.small(conv)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c, h, w)."""
        values = tokens(self.conv_value(maps))  # (n, hw, c)
        # (n, hw, c') each
        query, key = (centred(tokens(conv(maps)), self.centre) for conv in (self.conv_query, self.conv_key))
        gathered = self.gamma * attend(query, key, values, 1.0) + unary(self.conv_mask(maps), values)  # (n, hw, c)
        return maps + unflattened(gathered, maps)  # (n, c, h, w)

    def undecayed(self) -> tuple[nn.Parameter, ...]:
        """Return the parameters that are exempt from weight decay (`workers.training.optimizers`)."""
        return (*self.conv_query.parameters(), *self.conv_key.parameters())


def unary(mask: Tensor, values: Tensor) -> Tensor:
    """Return the unary term, equal for all positions: logits (n, 1, h, w), values (n, hw, d) -> (n, 1, d)."""
    return mask.flatten(2).softmax(-1) @ values  # (n, 1, hw) @ (n, hw, d)


def centred(sequence: Tensor, centre: Centre) -> Tensor:
    """Subtract from a sequence (n, hw, c') its mean over positions, or over positions and channels."""
    return sequence - sequence.mean((1, 2) if centre == "layer" else 1, keepdim=True)

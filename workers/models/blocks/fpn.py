"""Feature Pyramid Network (FPN, arXiv 1612.03144, section 3), with the coarser levels of one-stage detectors.

::

    M_i = lateral_i(C_i) + up(M_{i+1})     1 x 1; nearest neighbour, to the size of C_i
    P_i = conv3_i(M_i)                     3 x 3
    P_j = P_{j-1}[::2, ::2]                coarser levels, `pool`: FPN's P6
    P_j = conv3_j(P_{j-1}), stride 2       coarser levels, `conv`: as in FCOS and GFL (arXiv 2006.04388)

All convolutions have bias and no normalisation. They start as Xavier's uniform distribution with bias 0, as in mmdet.

Shapes: n images, c channels, h_i x w_i px at stage i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.errors import InvalidInput

Extra: TypeAlias = Literal["pool", "conv"]


class FPN(nn.Module):
    """A pyramid of `levels` maps with `channels` each, from the maps of a backbone's stages.

    `inputs` are the channels of the stages; the first `start` stages get no level. Raises InvalidInput (pointer
    `/levels`) if another stage would be left without a level.
    """

    def __init__(
        self, inputs: Sequence[int], channels: int = 256, *, levels: int = 5, start: int = 0, extra: Extra = "pool"
    ) -> None:
        super().__init__()
        used = inputs[start:]  # channels of the stages with a level
        if not 0 < len(used) <= levels:
            raise InvalidInput.at("/levels", f"{levels} levels for the stages {start} to {len(inputs) - 1}; give more")
        self.channels, self.start = channels, start
        self.lateral_convs = nn.ModuleList(nn.Conv2d(one, channels, 1) for one in used)
        self.fpn_convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in used)
        self.extra_convs = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) if extra == "conv" else nn.MaxPool2d(1, 2)
            for _ in range(levels - len(used))
        )
        self.apply(_xavier)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Map (n, inputs_i, h_i, w_i) of each stage, fine to coarse, to (n, channels, h_i, w_i) of each level."""
        # lateral_i(C_i): (n, channels, h_i, w_i) each
        merged = [conv(one) for conv, one in zip(self.lateral_convs, maps[self.start :], strict=True)]
        # From coarse to fine: a map is added to the next finer map.
        for fine in range(len(merged) - 1, 0, -1):
            merged[fine - 1] = merged[fine - 1] + F.interpolate(merged[fine], size=merged[fine - 1].shape[-2:])  # M_i
        # P_i: (n, channels, h_i, w_i) each
        pyramid = [conv(one) for conv, one in zip(self.fpn_convs, merged, strict=True)]
        for coarser in self.extra_convs:
            pyramid.append(coarser(pyramid[-1]))  # (n, channels, ceil(h / 2), ceil(w / 2))
        return pyramid

    def fed_back(self) -> dict[int, int]:
        """Return, for each stage of a recursive backbone but the first, the level of its size, which is fed back to it.
        """
        stages = range(self.start, self.start + len(self.lateral_convs))
        return {stage: level for level, stage in enumerate(stages) if stage > 0}


def _xavier(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)

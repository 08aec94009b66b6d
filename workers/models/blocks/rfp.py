"""Recursive Feature Pyramid (RFP; DetectoRS, arXiv 2006.02334, section 3).

::

    P^1 = FPN(B_1(x))
    Q^t = FPN(B_t(x, ASPP(P^{t-1})))                  t = 2 ... T, one FPN and one ASPP for all steps
    P^t = g Q^t + (1 - g) P^{t-1},  g = sigmoid(conv1(Q^t))   at every level, one conv1 for all levels and steps

B_t are backbones with weights of their own, or a single backbone that all steps share. A backbone adds the fed back
maps to the output of the first block of each stage but the first, through a 1 x 1 convolution that starts at 0
(`bottleneck`). The backbones start with equal weights, so all Q^t, and therefore P^T, equal P^1 at the start: a plain
FPN. conv1 starts at 0, so g starts at 1/2.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from searchsvc.errors import InvalidInput
from workers.models.blocks import initial
from workers.models.blocks.aspp import ASPP
from workers.models.blocks.base import Backbone, Neck
from workers.models.blocks.fpn import FPN


class RecursiveFeaturePyramid(Neck):
    """Backbone and FPN, unrolled over `steps`; a single step is the plain FPN.

    `backbone_of(channels)` builds a backbone with that many channels of feedback, 0 for no feedback. It is called once
    if the steps share the backbone, otherwise once per step. Raises InvalidInput (pointer `/steps`) if `steps` is less
    than 1.
    """

    def __init__(
        self,
        backbone_of: Callable[[int], Backbone],
        fpn: FPN,
        *,
        steps: int = 2,
        shared: bool = False,
        dilations: Sequence[int] = (3, 6),
    ) -> None:
        super().__init__()
        if steps < 1:
            raise InvalidInput.at("/steps", f"{steps}: a pyramid takes one step or more")
        self.steps, self.fpn = steps, fpn
        fed = [0] + [fpn.channels] * (steps - 1)  # channels of feedback per step
        self.backbones = nn.ModuleList(map(backbone_of, fed[-1:] if shared else fed))
        self.aspp = ASPP(fpn.channels, fpn.channels, dilations) if steps > 1 else None
        self.fusion = nn.Conv2d(fpn.channels, 1, 1) if steps > 1 else None  # conv1, which gives the gate g
        if self.fusion is not None:
            initial.at_zero(self.fusion)
        self.equalise()

    def forward(self, images: Tensor) -> list[Tensor]:
        pyramid: list[Tensor] = self.fpn(self.backbones[0](images, {}))  # P^1: (n, channels, h_i, w_i) each
        for step in range(1, self.steps):
            pyramid = self._again(images, pyramid, self.backbones[min(step, len(self.backbones) - 1)])  # P^t
        return pyramid

    def _again(self, images: Tensor, pyramid: Sequence[Tensor], backbone: nn.Module) -> list[Tensor]:
        """Return P^t from P^{t-1}."""
        assert self.aspp is not None
        # (n, channels, h_i, w_i) each
        feedback = {stage: self.aspp(pyramid[level]) for stage, level in self.fpn.fed_back().items()}
        again: list[Tensor] = self.fpn(backbone(images, feedback))  # Q^t
        return [self._fused(new, old) for new, old in zip(again, pyramid, strict=True)]

    def _fused(self, new: Tensor, old: Tensor) -> Tensor:
        assert self.fusion is not None
        return torch.lerp(old, new, self.fusion(new).sigmoid())  # the gate: (n, 1, h_i, w_i)

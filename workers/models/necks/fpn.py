"""The neck `fpn`: a single backbone and a feature pyramid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from searchsvc.spaces.detector.maps import STRIDES, strides_of
from workers.models.blocks.base import Backbone, Neck
from workers.models.blocks.fpn import FPN


class FeaturePyramid(Neck):
    """FPN over the maps of a single backbone."""

    def __init__(self, backbone: Backbone, fpn: FPN) -> None:
        super().__init__()
        # The order of stored weights: first the pyramid, then the backbones.
        self.fpn = fpn
        self.backbones = nn.ModuleList([backbone])

    def forward(self, images: Tensor) -> list[Tensor]:
        pyramid: list[Tensor] = self.fpn(self.backbones[0](images))  # (n, neck_channels, h_i, w_i) each
        return pyramid


def build(values: Mapping[str, Any], backbone_of: Callable[[int], Backbone]) -> Neck:
    """Build the neck that complete values describe."""
    backbone = backbone_of(0)
    return FeaturePyramid(backbone, fpn_of(values, backbone.outputs))


def fpn_of(values: Mapping[str, Any], inputs: Sequence[int]) -> FPN:
    """Build the FPN that complete values describe, on stages with `inputs` channels."""
    start, levels = STRIDES.index(values["finest"]), len(strides_of(values))
    return FPN(inputs, values["neck_channels"], levels=levels, start=start, extra="conv")

"""The backbones `fbnetv3` and `fbnetv3-small`: FBNetV3 networks without their head.

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from searchsvc.spaces.detector.backbones.table import FBNETV3
from searchsvc.spaces.fbnetv3.definition import Layers
from workers.models.blocks.base import Backbone
from workers.models.blocks.bottleneck import feedback_conv
from workers.models.fbnetv3 import block_of, initialise, stem_of


class FBNetV3Backbone(Backbone):
    """Stem and blocks of an FBNetV3 network, cut into four stages.

    `ends`: the number of blocks up to each of C2 to C5. `feedback`: channels of the maps that are fed back to all
    stages but the first; 0 for no feedback. These maps are added to the output of a stage's first block, through a
    convolution that starts at 0.
    """

    def __init__(self, layers: Layers, ends: Sequence[int], channels: int, *, feedback: int = 0) -> None:
        super().__init__()
        self.outputs = tuple(layers.blocks[end - 1].outputs for end in ends)
        self.stem = stem_of(channels, layers.stem_width, layers.stem_kernel, layers.stem_stride)
        self.blocks = nn.Sequential(*map(block_of, layers.blocks[: ends[-1]]))
        initialise(self, self.blocks)
        self._ends = tuple(ends)
        # channels of each stage's first block
        firsts = {stage: layers.blocks[end].outputs for stage, end in enumerate(ends[:-1], start=1)}
        self.feeds = nn.ModuleDict(
            {str(stage): feedback_conv(feedback, width) for stage, width in firsts.items() if feedback}
        )
        self.attention = nn.ModuleDict()

    def forward(self, images: Tensor, feedback: Mapping[int, Tensor] | None = None) -> list[Tensor]:
        maps, stage_maps = self.stem(images), []  # (n, stem, h / 2, w / 2)
        for stage, (first, *others) in enumerate(map(list, self._stages())):  # the last blocks of stages give C2 to C5
            maps = first(maps)  # (n, c, h', w'): the first block may halve the map
            if feedback and stage in feedback:
                maps = maps + self.feeds[str(stage)](feedback[stage])  # (n, c, h', w')
            for block in others:
                maps = block(maps)
            stage_maps.append(maps)  # (n, outputs_i, h / 4 / 2^i, w / 4 / 2^i)
        return stage_maps

    def parts(self) -> list[list[nn.Module]]:
        return [[self.stem], *self._stages()]

    def attend(self, stage: int, block: nn.Module) -> None:
        self.attention[str(stage)] = block

    def _stages(self) -> list[list[nn.Module]]:
        starts = (0, *self._ends[:-1])  # the first block of each stage
        return [
            [*self.blocks[start:end], *([self.attention[str(stage)]] if str(stage) in self.attention else [])]
            for stage, (start, end) in enumerate(zip(starts, self._ends, strict=True))
        ]


def build(values: Mapping[str, Any], channels: int, feedback: int) -> FBNetV3Backbone:
    """Build the backbone that complete values describe, on images with that many channels; `feedback` as in `Backbone`.
    """
    definition, ends = FBNETV3[values["backbone"]].definition_of(values)
    return FBNetV3Backbone(definition.layers, ends, channels, feedback=feedback)

"""The backbones of detectors: ResNets of bottlenecks, and networks of FBNetV3's make without their head.

Both give four maps, C2 to C5 at strides 4, 8, 16 and 32, can be fed back to by a recursive pyramid, and take switchable
atrous convolutions and non-local blocks. What these extend keeps its name and its weights, so that the weights of a
trained classifier load (`pretrained`).

Shapes: n images, c channels, h x w px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import Tensor, nn

from searchsvc.spaces.detector.space import RESNET, STAGES, SWITCHED, rows_of
from searchsvc.spaces.fbnetv3.definition import Layers
from workers.models.blocks.bottleneck import feedback_conv
from workers.models.blocks.dnl import DisentangledNonLocal
from workers.models.blocks.non_local import NonLocal
from workers.models.blocks.resnet import ResNet
from workers.models.blocks.sac import SwitchableAtrousConv
from workers.models.fbnetv3 import block_of, initialise, stem_of

Values: TypeAlias = Mapping[str, Any]
_ATTENTION: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {"non_local": partial(NonLocal, norm=True), "dnl": partial(DisentangledNonLocal, norm=True)}
)
"""Normalised, as in mmsegmentation's heads."""


class RowsBackbone(nn.Module):
    """Stem and blocks of a network from rows, cut into four stages.

    `ends`: how many blocks come up to each of C2 to C5. `feedback`: channels of what the stages but the first are fed
    back, 0: none; it is added to the output of a stage's first block, through a convolution that starts at 0.
    """

    def __init__(self, layers: Layers, ends: Sequence[int], channels: int, *, feedback: int = 0) -> None:
        super().__init__()
        self.outputs = tuple(layers.blocks[end - 1].outputs for end in ends)
        self.stem = stem_of(channels, layers.stem_width, layers.stem_kernel, layers.stem_stride)
        self.blocks = nn.Sequential(*map(block_of, layers.blocks[: ends[-1]]))
        initialise(self, self.blocks)
        self._ends = tuple(ends)
        firsts = {stage: layers.blocks[end].outputs for stage, end in enumerate(ends[:-1], start=1)}
        self.feeds = nn.ModuleDict(
            {str(stage): feedback_conv(feedback, width) for stage, width in firsts.items() if feedback}
        )
        self.attention = nn.ModuleDict()

    def forward(self, images: Tensor, feedback: Mapping[int, Tensor] | None = None) -> list[Tensor]:
        """Images (n, c, h, w), and by stage what is fed back to it -> (n, outputs_i, h / 4 / 2^i, w / 4 / 2^i) each."""
        maps, found = self.stem(images), []  # (n, stem, h / 2, w / 2)
        for stage, (first, *others) in enumerate(map(list, self._stages())):
            maps = first(maps)
            if feedback and stage in feedback:
                maps = maps + self.feeds[str(stage)](feedback[stage])
            for block in others:
                maps = block(maps)
            found.append(maps)
        return found

    def parts(self) -> list[list[nn.Module]]:
        """Stem and stages."""
        return [[self.stem], *self._stages()]

    def attend(self, stage: int, block: nn.Module) -> None:
        """Put a block that keeps the shape at the end of a stage."""
        self.attention[str(stage)] = block

    def _stages(self) -> list[list[nn.Module]]:
        starts = (0, *self._ends[:-1])
        return [
            [*self.blocks[start:end], *([self.attention[str(stage)]] if str(stage) in self.attention else [])]
            for stage, (start, end) in enumerate(zip(starts, self._ends, strict=True))
        ]


Backbone: TypeAlias = ResNet | RowsBackbone


def backbone_of(values: Values, channels: int, feedback: int = 0) -> Backbone:
    """The backbone that complete values describe, for images of so many channels; `feedback` as both have it."""
    made = _resnet(values, channels, feedback) if values["backbone"] == RESNET else _rows(values, channels, feedback)
    stages = made.parts()[1:]
    for stage, name in zip(SWITCHED, STAGES, strict=True):
        if values[f"sac_{name}"] != "off":
            switch(stages[stage], deform=values[f"sac_{name}"] == "deform")
        if values["attention"] != "none" and values["attention_at"] == name:
            made.attend(stage, _ATTENTION[values["attention"]](made.outputs[stage]))
    return made


def switch(modules: Iterable[nn.Module], *, deform: bool) -> None:
    """Make every convolution of more than 1 x 1 px inside the modules a switchable one that starts as it."""
    for parent in [one for module in modules for one in module.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1):
                setattr(parent, name, SwitchableAtrousConv.of(child, deform=deform))


def _resnet(values: Values, channels: int, feedback: int) -> ResNet:
    depths = [values[f"depth_{stage}"] for stage in range(1, 5)]
    standardised = values["standardised"]
    return ResNet(depths, values["base_width"], channels=channels, standardised=standardised, feedback=feedback)


def _rows(values: Values, channels: int, feedback: int) -> RowsBackbone:
    definition, ends = rows_of(values)
    return RowsBackbone(definition.layers, ends, channels, feedback=feedback)

"""The one-stage head: two towers shared by all levels, and the outputs per location of each level's map.

::

    map (c, h, w) --- tower --- classes (K)
                  |
                  '-- tower -+- boxes (4 B, or 4)   times a learnt scale of the level
                             '- centerness (1)      only in the baseline

A tower is `depth` times convolution 3 x 3, GroupNorm, ReLU. With a centerness branch, this is the head of ATSS (arXiv
1912.02424), trained by focal loss; without it, the head of Generalized Focal Loss (arXiv 2006.04388), whose class
scores are qualities. Shapes: n images, A anchors of all levels, K classes, B bins per side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workers.models.anchors import Anchors
from workers.models.heads import distances

_DEVIATION = 0.01  # of initial weights
_PRIOR = 0.01  # initial score of every class (focal loss, arXiv 1708.02002, section 4.1)


@dataclass(frozen=True, slots=True)
class HeadDesign:
    """The sizes of a head."""

    classes: int
    inputs: int = 256  # channels of the maps
    width: int = 256  # channels of the towers
    depth: int = 4  # convolutions of a tower
    groups: int = 32  # of GroupNorm, a divisor of `width`; eight channels each at the full width
    strides: tuple[int, ...] = (8, 16, 32, 64, 128)  # of the maps, px
    bins: int = 17  # per side; 0: a Dirac distance
    centerness: bool = False


class HeadOutputs(NamedTuple):
    """Outputs before any activation; the levels are concatenated, as in `Anchors`."""

    classes: Tensor  # (n, A, K)
    boxes: Tensor  # (n, A, 4 B), or (n, A, 4) for a Dirac distance
    centerness: Tensor | None  # (n, A)

    def at_least_float32(self) -> HeadOutputs:
        """Return the outputs with half precision converted to float32; float64 stays."""
        dtype = torch.promote_types(self.classes.dtype, torch.float32)
        centerness = None if self.centerness is None else self.centerness.to(dtype)
        return HeadOutputs(self.classes.to(dtype), self.boxes.to(dtype), centerness)


class OneStageHead(nn.Module):
    """Maps of all levels -> outputs at all anchors."""

    def __init__(self, design: HeadDesign) -> None:
        super().__init__()
        self.design = design
        self.class_tower = _tower(design)
        self.box_tower = _tower(design)
        self.classes = nn.Conv2d(design.width, design.classes, 3, padding=1)
        self.boxes = nn.Conv2d(design.width, distances.channels(design.bins), 3, padding=1)
        self.centerness = nn.Conv2d(design.width, 1, 3, padding=1) if design.centerness else None
        self.scales = nn.Parameter(torch.ones(len(design.strides)))
        for module in self.modules():
            _initialise(module)
        nn.init.constant_(self.classes.bias, math.log(_PRIOR / (1 - _PRIOR)))  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> HeadOutputs:
        """Return the outputs for maps (n, inputs, h_l, w_l), a map per stride."""
        levels = [self._level(*level) for level in zip(maps, self.scales, strict=True)]
        classes, boxes, centerness = zip(*levels, strict=True)
        quality = None if self.centerness is None else torch.cat(centerness, 1).squeeze(-1)
        return HeadOutputs(torch.cat(classes, 1), torch.cat(boxes, 1), quality)

    def anchors(self, maps: Sequence[Tensor]) -> Anchors:
        """Return the anchors of these maps."""
        return Anchors.of([(one.shape[2], one.shape[3]) for one in maps], self.design.strides, maps[0])

    def _level(self, level_map: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        towards_boxes = self.box_tower(level_map)  # (n, width, h, w)
        boxes = _by_location(self.boxes(towards_boxes) * scale)
        centerness = None if self.centerness is None else _by_location(self.centerness(towards_boxes))
        return _by_location(self.classes(self.class_tower(level_map))), boxes, centerness


def _tower(design: HeadDesign) -> nn.Sequential:
    """Build a tower, (n, inputs, h, w) -> (n, width, h, w)."""
    tower = nn.Sequential()
    for layer in range(design.depth):
        tower.append(nn.Conv2d(design.width if layer else design.inputs, design.width, 3, padding=1, bias=False))
        tower.append(nn.GroupNorm(design.groups, design.width))
        tower.append(nn.ReLU(inplace=True))
    return tower


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, std=_DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _by_location(outputs: Tensor) -> Tensor:
    """Reorder (n, c, h, w) to (n, h w, c)."""
    return outputs.permute(0, 2, 3, 1).flatten(1, 2)

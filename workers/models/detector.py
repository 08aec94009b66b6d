"""One-stage detectors: backbone, neck and head that the values of a candidate describe (`searchsvc.spaces.detector`).

::

    images (n, c, h, w) -> backbone, FPN or RFP -> a map per level -> head -> HeadOutputs, at A anchors

It is trained by `workers.losses.one_stage`. Shapes: n images, A anchors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from searchsvc.spaces.detector import STRIDES, bins_of, check_side, strides_of
from workers.models.anchors import Anchors
from workers.models.backbones import RowsBackbone, backbone_of
from workers.models.blocks.fpn import FPN
from workers.models.blocks.resnet import ResNet
from workers.models.blocks.rfp import RecursiveFeaturePyramid
from workers.models.heads.detections import DEFAULT_LIMITS, Detections, Limits, detections
from workers.models.heads.one_stage import HeadDesign, HeadOutputs, OneStageHead
from workers.models.pretrained import Loaded, load_weights

_GROUP = 8
"""Channels that GroupNorm normalises together."""


class Detector(nn.Module):
    """For images of one `size` (height, width), in px; `frozen` stages of the backbone are not trained."""

    def __init__(
        self, neck: RecursiveFeaturePyramid, head: OneStageHead, size: tuple[int, int], *, frozen: int = 0
    ) -> None:
        super().__init__()
        self.neck, self.head, self.size = neck, head, size
        self._frozen = frozen
        for module in self._frozen_modules():
            module.requires_grad_(False)

    @classmethod
    def of(cls, values: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> Self:
        """From complete values. Raises InvalidInput (pointer `/resolution`) where images of `shape` are too small."""
        channels, height, width = shape
        check_side(min(height, width), "/resolution")
        strides = strides_of(values)
        start = STRIDES.index(values["finest"])
        backbone = backbone_of(values, channels)
        fpn = FPN(backbone.outputs, values["neck_channels"], levels=len(strides), start=start, extra="conv")
        neck = RecursiveFeaturePyramid(
            lambda feedback: backbone_of(values, channels, feedback) if feedback else backbone,
            fpn,
            steps=values["rfp_steps"] if values["neck"] == "rfp" else 1,
            shared=values["rfp_shared"],
        )
        design = HeadDesign(
            classes,
            inputs=values["neck_channels"],
            width=values["head_width"],
            depth=values["head_depth"],
            groups=values["head_width"] // _GROUP,
            strides=strides,
            bins=bins_of(values),
            centerness=values["class_loss"] == "focal",
        )
        return cls(neck, OneStageHead(design), (height, width), frozen=values["frozen_stages"])

    def forward(self, images: Tensor) -> HeadOutputs:
        """Normalised images (n, c, *size)."""
        outputs: HeadOutputs = self.head(self.neck(images))
        return outputs

    def detections(
        self, outputs: HeadOutputs, sizes: Sequence[tuple[int, int]] | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> list[Detections]:
        """Of each image, within its (height, width) where `sizes` says that the rest of it is padding."""
        within = [self.size] * len(outputs.classes) if sizes is None else sizes
        return detections(outputs, self.anchors(outputs.classes), self.head.design.bins, within, limits)

    def anchors(self, like: Tensor) -> Anchors:
        """Those of the outputs, on the device of `like`."""
        strides = self.head.design.strides
        height, width = self.size
        return Anchors.of([(-(-height // one), -(-width // one)) for one in strides], strides, like)

    def load_backbone(self, path: str | Path) -> Loaded:
        """Load the weights of a trained network into every backbone. Raises InvalidInput where none fits."""
        found = load_weights(self.neck.backbones[0], path)
        self.neck.equalise()
        return found

    def train(self, mode: bool = True) -> Self:
        """Frozen stages keep the statistics of their normalisation."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def _frozen_modules(self) -> Iterator[nn.Module]:
        for backbone in self.neck.backbones if self._frozen else ():
            assert isinstance(backbone, ResNet | RowsBackbone)
            for part in backbone.parts()[: self._frozen + 1]:
                yield from part


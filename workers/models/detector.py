"""One-stage detectors: backbone, neck and head that the values of a candidate describe (`searchsvc.spaces.detector`).

::

    images (n, c, h, w) -> backbone, FPN or RFP -> a map per level -> head -> HeadOutputs, at A anchors

It is trained by `workers.losses.one_stage`. Shapes: n images, A anchors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from searchsvc.spaces.detector.space import STRIDES, bins_of, check_side, strides_of
from workers.models.anchors import Anchors
from workers.models.backbones import backbone_of
from workers.models.blocks.fpn import FPN
from workers.models.blocks.rfp import RecursiveFeaturePyramid
from workers.models.heads.detections import DEFAULT_LIMITS, Detections, Limits, detections
from workers.models.heads.one_stage import HeadDesign, HeadOutputs, OneStageHead
from workers.models.pretrained import Loaded, Weights, have_common_names, load_weights

_GROUP = 8
"""Channels that GroupNorm normalises together."""


class Detector(nn.Module):
    """For images of one `size` (height, width), in px."""

    def __init__(self, neck: RecursiveFeaturePyramid, head: OneStageHead, size: tuple[int, int]) -> None:
        super().__init__()
        self.neck, self.head, self.size = neck, head, size

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
        return cls(neck, OneStageHead(design), (height, width))

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

    def load(self, weights: Weights) -> Loaded:
        """Load the weights of a trained detector, or those of a trained classifier into every backbone.

        Raises InvalidInput where none fits.
        """
        if have_common_names(weights, self):
            return load_weights(self, weights)
        found = load_weights(self.neck.backbones[0], weights)
        self.neck.equalise()
        return found

    def parts(self) -> list[list[nn.Module]]:
        """Stem and stages of all backbones, and what follows."""
        own: list[list[list[nn.Module]]] = [one.parts() for one in self.neck.backbones]  # type: ignore[operator]
        stages = [[module for part in parts for module in part] for parts in zip(*own, strict=True)]
        after = [one for one in self.neck.children() if one is not self.neck.backbones]
        return [*stages, [*after, self.head]]

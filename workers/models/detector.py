"""One-stage detectors: the backbone, neck and head that a candidate's values describe (`searchsvc.spaces.detector`).

::

    images (n, c, h, w) -> neck and its backbones -> a map per level -> head -> HeadOutputs, at A anchors

`workers.losses.one_stage` trains them. Shapes: n images, A anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn

from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.detector.head import bins_of
from searchsvc.spaces.detector.maps import check_side, strides_of
from workers.models.anchors import Anchors
from workers.models.backbones import backbone_of
from workers.models.blocks.base import Neck
from workers.models.heads.detections import DEFAULT_LIMITS, DetectionLimits, Detections, detections
from workers.models.heads.one_stage import HeadDesign, HeadOutputs, OneStageHead
from workers.models.necks import BUILDERS
from workers.models.pretrained import Loaded, Weights, have_common_names, load_weights

_GROUP = 8
"""Channels that GroupNorm normalises together."""


class Detector(nn.Module):
    """Backbones, neck and head for images of a single `size` (height, width), in px."""

    def __init__(self, neck: Neck, head: OneStageHead, size: tuple[int, int]) -> None:
        super().__init__()
        self.neck, self.head, self.size = neck, head, size

    @classmethod
    def of(cls, values: CompleteValues, shape: tuple[int, int, int], classes: int) -> Self:
        """Build the detector that the values describe.

        Raises InvalidInput (pointer `/resolution`) if images of `shape`, (channels, height, width), are too small.
        """
        channels, height, width = shape  # of an image
        check_side(min(height, width), "/resolution")
        neck = BUILDERS[values["neck"]](values, partial(backbone_of, values, channels))
        design = HeadDesign(
            classes,
            inputs=values["neck_channels"],
            width=values["head_width"],
            depth=values["head_depth"],
            groups=values["head_width"] // _GROUP,
            strides=strides_of(values),
            bins=bins_of(values),
            centerness=values["class_loss"] == "focal",
        )
        return cls(neck, OneStageHead(design), (height, width))

    def forward(self, images: Tensor) -> HeadOutputs:
        """Return the outputs of the head for normalised images (n, c, *size)."""
        outputs: HeadOutputs = self.head(self.neck(images))  # maps (n, neck_channels, h_l, w_l) of each level
        return outputs

    def detections(
        self,
        outputs: HeadOutputs,
        sizes: Sequence[tuple[int, int]] | None = None,
        limits: DetectionLimits = DEFAULT_LIMITS,
    ) -> list[Detections]:
        """Return the detections of each image, clipped to its (height, width) in `sizes` if the image is padded."""
        # Without padding, detections reach to the borders of the images.
        within = [self.size] * len(outputs.classes) if sizes is None else sizes
        return detections(outputs, self.anchors(outputs.classes), self.head.design.bins, within, limits)

    def anchors(self, like: Tensor) -> Anchors:
        """Return the anchors of the outputs, on the device of `like`."""
        strides = self.head.design.strides
        height, width = self.size  # px
        # maps of ceil(size / stride)
        return Anchors.of([(-(-height // stride), -(-width // stride)) for stride in strides], strides, like)

    def load(self, weights: Weights) -> Loaded:
        """Load the weights of a trained detector, or load a trained classifier's weights into every backbone.

        Raises InvalidInput if no weight fits.
        """
        if have_common_names(weights, self):
            return load_weights(self, weights)
        loaded = load_weights(self.neck.backbones[0], weights)
        # A recursive pyramid has several backbones, which start with equal weights.
        self.neck.equalise()
        return loaded

    def parts(self) -> list[list[nn.Module]]:
        """Return the modules of the stems and of each stage of all backbones, followed by the other modules."""
        *stages, after = self.neck.parts()
        return [*stages, [*after, self.head]]

"""One-stage detectors: backbone, neck and head that the values of a candidate describe (`searchsvc.spaces.detector`).

::

    images (n, c, h, w) -> backbone, FPN or RFP -> a map per level -> head -> HeadOutputs, at A anchors

Shapes: n images, A anchors, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from searchsvc.spaces.detector import STRIDES, check_side, strides_of
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.losses.sample_weighting import SampleWeightingNet
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
        self,
        neck: RecursiveFeaturePyramid,
        head: OneStageHead,
        size: tuple[int, int],
        *,
        loss: OneStageLoss,
        frozen: int = 0,
    ) -> None:
        super().__init__()
        self.neck, self.head, self.size = neck, head, size
        self._loss, self._frozen = loss, frozen
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
        bins = values["dfl_bins"] if values["boxes"] == "dfl" else 0
        design = HeadDesign(
            classes,
            inputs=values["neck_channels"],
            width=values["head_width"],
            depth=values["head_depth"],
            groups=values["head_width"] // _GROUP,
            strides=strides,
            bins=bins,
            centerness=values["class_loss"] == "focal",
        )
        loss = OneStageLoss(bins, beta=values["qfl_beta"], distribution=values["dfl_weight"])
        return cls(neck, OneStageHead(design), (height, width), loss=loss, frozen=values["frozen_stages"])

    def forward(self, images: Tensor) -> HeadOutputs:
        """Normalised images (n, c, *size)."""
        outputs: HeadOutputs = self.head(self.neck(images))
        return outputs

    def loss(
        self, outputs: HeadOutputs, targets: Targets, weighting_net: SampleWeightingNet | None = None
    ) -> dict[str, Tensor]:
        """The terms of the loss of a batch, to be summed; weighted where there is a `weighting_net`."""
        loss = self._loss if weighting_net is None else replace(self._loss, weighting_net=weighting_net)
        return loss(outputs, self.anchors(outputs.classes), targets)

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

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch has it so
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


def weighting_net_of(values: Mapping[str, Any]) -> SampleWeightingNet | None:
    """What weights the losses of a detector, apart from it: with an optimiser of its own, and not kept."""
    return SampleWeightingNet(box_terms=1) if values["sample_weighting"] == "swn" else None

"""A detector with a fixed architecture: candidates differ only in their recipes, and share all weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call

from searchsvc.domain.parameters import Scalar
from workers.models.anchors import Anchors
from workers.models.detector import Detector
from workers.models.heads.one_stage import HeadOutputs
from workers.supernet.layout import Tensors
from workers.supernet.normalise import BY_BATCH


class SharedDetector:
    """A detector as a function of its tensors, normalised by the batch."""

    def __init__(self, detector: Detector) -> None:
        self.widest = detector.train()
        for norm in detector.modules():
            if isinstance(norm, nn.BatchNorm2d):
                BY_BATCH.configure(norm)

    def activate(self, values: Mapping[str, Scalar]) -> None:
        """Do nothing: all candidates have the same architecture."""

    def part(self, shared: Tensors) -> dict[str, Tensor]:
        """Return all tensors."""
        return dict(shared)

    def gated(self, tensors: Tensors, coefficients: Tensors) -> dict[str, Tensor]:  # noqa: ARG002 - nothing is chosen
        """Return the tensors unchanged."""
        return dict(tensors)

    def outputs(self, images: Tensor, tensors: Tensors) -> HeadOutputs:
        """Return the head's outputs for normalised images (n, c, h, w), computed with the given tensors."""
        outputs: HeadOutputs = functional_call(self.widest, dict(tensors), (images,))
        return outputs

    def anchors(self, outputs: HeadOutputs) -> Anchors:
        return self.widest.anchors(outputs.classes)

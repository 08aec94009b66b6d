"""The whole loss of the one-stage head, normalised as in Generalized Focal Loss (arXiv 2006.04388) and ATSS.

::

    classification = sum over anchors of QFL (or focal loss) / N_pos
    boxes          = 2    sum_pos w_i (1 - GIoU_i) / Z                       Z = max(1, sum_pos w_i)
    distribution   = 0.25 sum_pos w_i (mean of the four sides' DFL_i) / Z
    centerness     = sum_pos BCE_i / N_pos

A head without a centerness branch learns by QFL, towards the IoU of its predicted box, with w_i = max_c sigma_{i,c}. A
head with a centerness branch learns by focal loss, with w_i the true centerness. Neither IoU nor w_i carries a
gradient. N_pos is the sum of the images' numbers of positives, at least 1 each. N_pos and Z are sums over the whole
batch and all levels. Shapes: n images, A anchors, K classes, P positives, B bins per side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from searchsvc.spaces.detector.head import bins_of
from workers.losses.atss import Targets, assign
from workers.losses.centerness import centerness, centerness_loss
from workers.losses.distribution_focal import distribution_focal_loss
from workers.losses.focal import focal_loss
from workers.losses.giou import giou_loss
from workers.losses.quality_focal import quality_focal_loss
from workers.losses.sample_weighting import (
    DEFAULT_WEIGHTING,
    Samples,
    SampleWeightingNet,
    SampleWeights,
    Weighting,
    one_stage_weights,
)
from workers.models.anchors import Anchors
from workers.models.boxes import Boxes
from workers.models.heads import distances
from workers.models.heads.one_stage import HeadOutputs

_BOXES = 2.0  # weight of the GIoU term
REGULARIZER = "regularizer"
"""The term of sample weighting, which does not depend on any single image."""


@dataclass(frozen=True, slots=True, eq=False)
class Positives:
    """The positives of a batch with their targets; boxes and distances in strides."""

    mask: Tensor  # (n, A), bool
    count: Tensor  # (), N_pos
    labels: Tensor  # (P)
    logits: Tensor  # (P, K)
    raw: Tensor  # (P, 4 B), or (P, 4): outputs of the box branch
    predicted: Boxes  # (P, 4)
    true: Boxes  # (P, 4)
    distances: Tensor  # (P, 4), true, from the anchor's centre

    @classmethod
    def of(cls, outputs: HeadOutputs, anchors: Anchors, targets: Targets, bins: int) -> Positives:
        """Assign anchors to objects by ATSS, and collect the positives."""
        assigned = assign(anchors, targets, len(outputs.classes))  # (n, A)
        mask = assigned >= 0
        objects, which = assigned[mask], mask.nonzero()[:, 1]  # (P) each
        strides = anchors.strides[which].unsqueeze(-1)  # (P, 1)
        centers, true = anchors.centers[which] / strides, targets.boxes[objects] / strides
        raw = outputs.boxes[mask]
        return cls(
            mask=mask,
            count=mask.sum(1).clamp(min=1).sum(),
            labels=targets.labels[objects],
            logits=outputs.classes[mask],
            raw=raw,
            predicted=Boxes.around(centers, distances.decode(raw, bins)),
            true=true,
            distances=true.distances(centers),
        )


@dataclass(frozen=True, slots=True)
class OneStageLoss:
    """The loss of a batch from a head's outputs: a function that returns terms, whose sum is the loss.

    With a `weighting_net` (of one box term), the one-stage form of sample weighting scales the classification term and
    each positive's box terms, and adds a term `regularizer`. The detector itself is unaffected.
    """

    bins: int  # per side, as the head has them; 0: a Dirac distance
    beta: float = 2.0  # of QFL
    distribution: float = 0.25  # weight of DFL
    weighting_net: SampleWeightingNet | None = None
    weighting: Weighting = DEFAULT_WEIGHTING

    @classmethod
    def of(cls, values: Mapping[str, Any], weighting_net: SampleWeightingNet | None = None) -> Self:
        """Return the loss that complete values describe (`searchsvc.spaces.networks.complete`)."""
        return cls(bins_of(values), values["qfl_beta"], values["dfl_weight"], weighting_net)

    def __call__(self, outputs: HeadOutputs, anchors: Anchors, targets: Targets) -> dict[str, Tensor]:
        """Return the terms, () each, finite and differentiable even if the batch has no object."""
        outputs = outputs.at_least_float32()
        positives = Positives.of(outputs, anchors, targets, self.bins)
        ious = positives.predicted.iou(positives.true)  # (P)
        classes = self._classes(outputs, positives, ious.detach())  # (n, A)
        overlaps = giou_loss(positives.predicted, positives.true)  # (P)
        quality = _quality(outputs, positives)  # (P), w_i
        shares = quality / quality.sum().clamp(min=1)  # (P), w_i / Z
        terms = {}
        if self.weighting_net is not None:
            weights = self._sample_weights(self.weighting_net, positives, ious, classes, overlaps)
            classes, shares = classes * weights.classes, shares * weights.boxes[positives.mask.flatten()]
            terms[REGULARIZER] = weights.regularizer
        terms["classification"] = classes.sum() / positives.count
        terms["boxes"] = _BOXES * (shares * overlaps).sum()
        if self.bins:
            terms["distribution"] = self.distribution * (shares * self._sides(positives)).sum()
        if outputs.centerness is not None:
            losses = centerness_loss(outputs.centerness[positives.mask], quality)  # (P)
            terms["centerness"] = losses.sum() / positives.count
        return terms

    def _classes(self, outputs: HeadOutputs, positives: Positives, ious: Tensor) -> Tensor:
        """Return the classification loss of every anchor, (n, A)."""
        image, anchor = positives.mask.nonzero(as_tuple=True)
        wanted = torch.zeros_like(outputs.classes)  # (n, A, K)
        if outputs.centerness is not None:
            wanted[image, anchor, positives.labels] = 1.0
            return focal_loss(outputs.classes, wanted)
        wanted[image, anchor, positives.labels] = ious
        return quality_focal_loss(outputs.classes, wanted, self.beta)

    def _sides(self, positives: Positives) -> Tensor:
        """Return the DFL of every positive, the mean over its sides, (P)."""
        logits = distances.by_side(positives.raw, self.bins)  # (P, 4, B)
        return distribution_focal_loss(logits, distances.encode(positives.distances, self.bins)).mean(-1)

    def _sample_weights(
        self, net: SampleWeightingNet, positives: Positives, ious: Tensor, classes: Tensor, overlaps: Tensor
    ) -> SampleWeights:
        """Weigh the samples of all anchors, N = n A; IoU and score keep their gradients, as in the authors' RetinaNet.
        """
        mask = positives.mask.flatten()  # (N)
        scores = positives.logits.sigmoid().gather(1, positives.labels.unsqueeze(-1)).squeeze(-1)  # (P)
        ious, scores, boxes = (_placed(one, mask) for one in (ious, scores, overlaps))  # (N) each
        samples = Samples(ious, scores, classes.flatten(), boxes.unsqueeze(-1), mask)
        return one_stage_weights(net, samples, self.weighting)


def _quality(outputs: HeadOutputs, positives: Positives) -> Tensor:
    """Return w_i, (P), without a gradient."""
    if outputs.centerness is not None:
        return centerness(positives.distances)
    return positives.logits.detach().sigmoid().amax(-1)


def _placed(values: Tensor, mask: Tensor) -> Tensor:
    """Spread the values (P) to the true entries of the mask (N), with 0 elsewhere: (N)."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)

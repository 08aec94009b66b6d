"""Detections from the outputs of a head: scores, boxes, non-maximum suppression.

A score is the sigmoid of a class, times the sigmoid of the centerness, if the head has it. Suppression is within
classes. Shapes: n images, A anchors, K classes, k candidates per image, d detections per image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from workers.models.anchors import Anchors
from workers.models.boxes import Boxes
from workers.models.heads import distances
from workers.models.heads.one_stage import HeadOutputs


@dataclass(frozen=True, slots=True)
class DetectionLimits:
    """Limits that select detections; the defaults are the values of ATSS and Generalized Focal Loss."""

    score: float = 0.05  # of the class, which a candidate must exceed
    per_level: int = 1000  # candidates of a level, the best
    iou: float = 0.6  # above which the worse of two boxes of a class is removed
    per_image: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The detections of an image, best first."""

    boxes: Boxes  # (d, 4), px
    scores: Tensor  # (d)
    labels: Tensor  # (d)


DEFAULT_LIMITS = DetectionLimits()


@torch.no_grad()
def detections(
    outputs: HeadOutputs,
    anchors: Anchors,
    bins: int,
    sizes: Sequence[tuple[int, int]],
    limits: DetectionLimits = DEFAULT_LIMITS,
) -> list[Detections]:
    """Return the detections of each image, clipped to its (height, width) in `sizes`, in px."""
    outputs = outputs.at_least_float32()
    scores, places = _candidates(outputs, anchors, limits)  # (n, k)
    classes = outputs.classes.shape[-1]
    which, labels = places // classes, places % classes
    boxes = decoded(outputs.boxes, anchors, bins, which)  # (n, k, 4)
    return [
        _suppressed(boxes[index].clipped(height, width), scores[index], labels[index], limits)
        for index, (height, width) in enumerate(sizes)
    ]


def decoded(raw: Tensor, anchors: Anchors, bins: int, which: Tensor) -> Boxes:
    """Decode the box outputs (n, A, channels) of the anchors `which` (n, k) to boxes (n, k, 4) in px."""
    chosen = raw.gather(1, which.unsqueeze(-1).expand(-1, -1, raw.shape[-1]))  # (n, k, channels)
    strides = anchors.strides[which].unsqueeze(-1)  # (n, k, 1)
    return Boxes.around(anchors.centers[which], distances.decode(chosen, bins) * strides)


def _candidates(outputs: HeadOutputs, anchors: Anchors, limits: DetectionLimits) -> tuple[Tensor, Tensor]:
    """Return the best scores of each level and their positions among the A K of an image, (n, k) each, padded with 0.
    """
    scores = outputs.classes.sigmoid()  # (n, A, K)
    above = scores > limits.score
    if outputs.centerness is not None:
        scores = scores * outputs.centerness.sigmoid().unsqueeze(-1)
    classes = scores.shape[-1]
    best, places, first = [], [], 0
    for level in torch.split_with_sizes(scores * above, anchors.counts, dim=1):
        flat = level.flatten(1)  # (n, A_l K)
        top = flat.topk(min(limits.per_level, flat.shape[1]))
        best.append(top.values)
        places.append(top.indices + first * classes)
        first += level.shape[1]
    return torch.cat(best, 1), torch.cat(places, 1)


def _suppressed(boxes: Boxes, scores: Tensor, labels: Tensor, limits: DetectionLimits) -> Detections:
    """Return the candidates (k) of an image with a score above 0 that no better candidate of their class covers."""
    some = scores > 0
    boxes, scores, labels = boxes[some], scores[some], labels[some]  # (k', 4), (k'), (k')
    order = batched_nms(boxes.xyxy, scores, labels, limits.iou)[: limits.per_image]
    return Detections(boxes[order], scores[order], labels[order])


def in_px(detections: Detections, seen: tuple[int, int], size: tuple[int, int]) -> Detections:
    """Scale detections from an image resized to `seen` (height, width) px to the image's own `size` (height, width) px.
    """
    ratios = [size[1] / seen[1], size[0] / seen[0]] * 2  # x, y, x, y
    xyxy = detections.boxes.xyxy
    return Detections(Boxes(xyxy * xyxy.new_tensor(ratios)), detections.scores, detections.labels)

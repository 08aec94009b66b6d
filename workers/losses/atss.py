"""Adaptive Training Sample Selection (ATSS, arXiv 1912.02424, algorithm 1): assigns anchors to objects.

For every object, the k anchors of each level whose centres are nearest to its own are candidates. Candidates whose IoU
with the object reaches mean + standard deviation (unbiased) of the candidates' IoUs are positive, if their centre is
inside the object. An anchor that is positive for several objects belongs to the object of greatest IoU. All others are
negative: no anchor is ignored.

The objects of a batch are processed together, and IoU is computed only for candidates.
Shapes: n images, A anchors, M objects of the whole batch, K candidates per object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.models.anchors import Anchors
from workers.models.boxes import Boxes

CANDIDATES = 9  # of each level
_INSIDE = 0.01  # px: how far inside its object the centre of a positive lies at least


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The objects of a batch, ordered by image."""

    boxes: Boxes  # (M, 4), px
    labels: Tensor  # (M), long, from 0 to K - 1
    images: Tensor  # (M), long: the image of each, from 0 to n - 1

    @classmethod
    def of(cls, objects: Iterable[tuple[Boxes, Tensor]]) -> Targets:
        """Collect the boxes (m, 4) and labels (m) of each image; m may be 0."""
        boxes, labels = zip(*objects, strict=True)
        counts = torch.tensor([len(one) for one in labels], device=labels[0].device)
        images = torch.repeat_interleave(torch.arange(len(labels), device=counts.device), counts)
        return cls(Boxes.cat(boxes), torch.cat(labels), images)


@torch.no_grad()
def assign(anchors: Anchors, targets: Targets, images: int, candidates: int = CANDIDATES) -> Tensor:
    """Return the object of each anchor of each image, (n, A), long: an index into the batch's objects; -1: negative."""
    total, objects = len(anchors.boxes), len(targets.boxes)
    near = _nearest(anchors, targets.boxes.centers(), candidates)  # (M, K)
    ious = anchors.boxes[near].iou(targets.boxes[:, None])  # (M, K)
    positive = (ious >= _thresholds(ious)) & _inside(anchors.centers[near], targets.boxes)
    places = (targets.images[:, None] * total + near)[positive]  # (p) into (n A)
    ious, owners = ious[positive], torch.arange(objects, device=near.device)[:, None].expand_as(near)[positive]
    best = ious.new_full((images * total,), -1.0).scatter_reduce(0, places, ious, "amax")
    wins = ious == best[places]
    # Of equal IoUs the first object wins, whatever the order in which the device writes.
    assigned = owners.new_full((images * total,), objects).scatter_reduce(0, places[wins], owners[wins], "amin")
    return assigned.where(assigned < objects, -1).view(images, total)


def _nearest(anchors: Anchors, centers: Tensor, candidates: int) -> Tensor:
    """Return the indices (M, K) of the anchors of each level nearest to the objects' centers (M, 2)."""
    offsets = anchors.centers - centers[:, None]  # (M, A, 2)
    distances = offsets.square().sum(-1)  # (M, A), px²
    nearest, first = [], 0
    for level in torch.split_with_sizes(distances, anchors.counts, dim=1):
        nearest.append(level.topk(min(candidates, level.shape[1]), largest=False).indices + first)
        first += level.shape[1]
    return torch.cat(nearest, dim=1)


def _thresholds(ious: Tensor) -> Tensor:
    """Return mean + standard deviation (M, 1) of the candidates' IoUs (M, K); a single candidate deviates by 0."""
    mean = ious.mean(1, keepdim=True)
    variance = (ious - mean).square().sum(1, keepdim=True) / max(1, ious.shape[1] - 1)
    return mean + variance.sqrt()


def _inside(points: Tensor, boxes: Boxes) -> Tensor:
    """Return (M, K): whether points (M, K, 2) are inside their boxes (M, 4)."""
    return boxes[:, None].distances(points).amin(-1) > _INSIDE

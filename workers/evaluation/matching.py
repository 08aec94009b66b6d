"""Correct detections: each matches at most a single object of its class, as in COCO at a fixed overlap.

Shapes: d boxes, g objects of an image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.data.detection import Truth

OVERLAP = 0.5
"""Least IoU of a box with the object that it matches."""
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Matches:
    """Counts over all images."""

    boxes: int
    """Without boxes within a crowd of their class, which are neither right nor wrong."""
    right: int
    objects: int

    @property
    def precision(self) -> float | None:
        """Share of the boxes that are right; None if there is no box."""
        return self.right / self.boxes if self.boxes else None

    @property
    def recall(self) -> float | None:
        """Share of the objects that are matched; None if there is no object."""
        return self.right / self.objects if self.objects else None


def matched(images: Iterable[tuple[Truth, Truth]]) -> Matches:
    """Match the detections of each image, best first, with its annotated objects."""
    boxes = right = objects = 0
    for detected, truth in images:
        hits = _hits(detected, truth)
        boxes += len(hits) - int((~hits & _in_crowds(detected, truth)).sum())
        right += int(hits.sum())
        objects += int((~truth.crowd).sum())
    return Matches(boxes, right, objects)


def _hits(detected: Truth, truth: Truth) -> NDArray[np.bool_]:
    """Return (d,): whether a box, best first, overlaps enough with its nearest object that no better box has taken."""
    shared = _intersections(detected, truth)  # (d, g)
    sizes = _sizes(detected.boxes)[:, None] + _sizes(truth.boxes) - shared  # unions, (d, g)
    candidates = _same_class(detected, truth) & ~truth.crowd  # (d, g)
    overlaps = np.where(candidates, shared / np.maximum(sizes, _TINY), 0.0)  # IoU, (d, g)
    hits = np.zeros(len(detected.labels), bool)  # (d,)
    if overlaps.shape[1]:
        for box, row in enumerate(overlaps):
            best = int(row.argmax())  # of the objects that are free
            if row[best] >= OVERLAP:
                # The object is taken: no later box overlaps it.
                hits[box], overlaps[:, best] = True, 0.0
    return hits


def _in_crowds(detected: Truth, truth: Truth) -> NDArray[np.bool_]:
    """Return (d,): whether half of a box lies within a crowd."""
    # of each box's area, (d, g)
    shares = _intersections(detected, truth) / np.maximum(_sizes(detected.boxes), _TINY)[:, None]
    within = (shares >= OVERLAP) & _same_class(detected, truth) & truth.crowd  # (d, g)
    return np.asarray(within.any(1), bool)


def _same_class(detected: Truth, truth: Truth) -> NDArray[np.bool_]:
    return np.equal(detected.labels[:, None], truth.labels)  # (d, g)


def _intersections(detected: Truth, truth: Truth) -> NDArray[np.float64]:
    """Return (d, g) px²."""
    corners = (
        np.minimum(detected.boxes[:, None, 2:], truth.boxes[:, 2:]),  # (d, g, 2): lower right
        np.maximum(detected.boxes[:, None, :2], truth.boxes[:, :2]),  # (d, g, 2): upper left
    )
    areas: NDArray[np.float64] = np.maximum(corners[0] - corners[1], 0.0).prod(-1)  # (d, g)
    return areas


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sizes: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).prod(1)  # (m,)
    return sizes

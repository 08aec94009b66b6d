"""COCO's average precision, written plainly from its definition: the reference for the evaluator.

Per class and overlap t, detections of an image (the best 100) are visited from the best score on. Each is matched to
the object with the largest overlap, t or more, among the free objects that count; if there is no such object, it may
match an object that does not count (crowds, objects of other sizes), and then the detection does not count either. The
same holds for an unmatched detection of another size. Precision, made non-increasing, is read at 101 levels of recall.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.data.detection import Truth
from workers.models.heads.detections import Detections

OVERLAPS = np.linspace(0.5, 0.95, 10)
RANGES = {"": (0.0, 1e10), "_small": (0.0, 32**2), "_medium": (32**2, 96**2), "_large": (96**2, 1e10)}
LEVELS = np.linspace(0, 1, 101)


def averages(detections: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str]) -> dict[str, float]:
    """Return the metrics of `workers.evaluation.detection` that have an object."""
    precisions = {
        (area, label, overlap): _of_class(detections, truths, label, overlap, RANGES[area])
        for area in RANGES
        for label in range(len(classes))
        for overlap in range(len(OVERLAPS))
    }
    wanted = {
        **{f"ap{area}": [key for key in precisions if key[0] == area] for area in RANGES},
        "ap50": [key for key in precisions if key[0] == "" and key[2] == 0],
        "ap75": [key for key in precisions if key[0] == "" and key[2] == 5],
        **{f"ap/{name}": [key for key in precisions if key[:2] == ("", k)] for k, name in enumerate(classes)},
    }
    values = {name: [scores[0] for key in keys if (scores := precisions[key])] for name, keys in wanted.items()}
    values["ar100"] = [scores[1] for key in wanted["ap"] if (scores := precisions[key])]
    return {name: float(np.mean(some)) for name, some in values.items() if some}


def _of_class(
    detections: Sequence[Detections], truths: Sequence[Truth], label: int, overlap: int, sizes: tuple[float, float]
) -> tuple[float, float] | None:
    """Return (average precision, recall); None if no object counts."""
    scores, right, counting, objects = [], [], [], 0
    for detected, truth in zip(detections, truths, strict=True):
        mine, theirs = detected.labels.numpy() == label, truth.labels == label
        order = np.argsort(-detected.scores.numpy()[mine], kind="stable")[:100]
        boxes = detected.boxes.xyxy.numpy()[mine][order]
        ignored = truth.crowd[theirs] | (truth.areas[theirs] < sizes[0]) | (truth.areas[theirs] > sizes[1])
        objects += int((~ignored).sum())
        shares = _overlaps(boxes, truth.boxes[theirs], truth.crowd[theirs])
        hit, counts = _matched(shares, ignored, truth.crowd[theirs], OVERLAPS[overlap])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        counts &= hit | ((areas >= sizes[0]) & (areas <= sizes[1]))
        scores.append(detected.scores.numpy()[mine][order])
        right.append(hit)
        counting.append(counts)
    if not objects:
        return None
    order = np.argsort(-np.concatenate(scores), kind="stable")
    good = (np.concatenate(right) & np.concatenate(counting))[order][np.concatenate(counting)[order]]
    hits = np.cumsum(good)
    recall, precision = hits / objects, hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, LEVELS, side="left")
    read = [falling[place] if place < len(falling) else 0.0 for place in reached]
    return float(np.mean(read)), float(recall[-1]) if len(recall) else 0.0


def _matched(
    shares: NDArray[np.float64], ignored: NDArray[np.bool_], crowd: NDArray[np.bool_], overlap: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, for each detection, whether it has an object, and whether it counts (so far, if it has none)."""
    free = np.ones(len(ignored), bool)
    hit, counts = np.zeros(len(shares), bool), np.ones(len(shares), bool)
    for place, row in enumerate(shares):
        for group in (~ignored & free, ignored & (free | crowd)):
            able = np.flatnonzero(group & (row >= overlap))
            if len(able):
                best = able[len(able) - 1 - int(np.argmax(row[able][::-1]))]
                free[best], hit[place], counts[place] = False, True, not ignored[best]
                break
    return hit, counts


def _overlaps(
    boxes: NDArray[np.float64], objects: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return (d, m): intersection over union; for crowds, over the detection's area."""
    low = np.maximum(boxes[:, None, :2], objects[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], objects[None, :, 2:])
    shared = (high - low).clip(0).prod(-1)
    own, other = (boxes[:, 2:] - boxes[:, :2]).prod(1), (objects[:, 2:] - objects[:, :2]).prod(1)
    return shared / np.where(crowd[None], own[:, None], own[:, None] + other[None] - shared)

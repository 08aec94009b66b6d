"""Average precision of a detector on a split, as COCO defines it (cocodataset.org, "Detection Evaluation").

| metric | mean over | overlaps (IoU) |
|---|---|---|
| ap | classes and overlaps | .50, .55, ... .95 |
| ap50, ap75 | classes | .50; .75 |
| ap_small, ap_medium, ap_large | as ap, of objects below 32², from 32² to 96², and above 96² px² | |
| ar100 | recall with 100 detections of an image: classes and overlaps | .50, .55, ... .95 |
| ap/CLASS | overlaps, of that class | .50, .55, ... .95 |

All are shares from 0 to 1. A metric is omitted if the split has no object for it. Crowds: a detection within a crowd of
its class counts neither as right nor as wrong.

Importing this module is cheap, since the task lists its metrics: it does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from searchsvc.domain.metrics import Metric
from workers.data.detection import Truth

if TYPE_CHECKING:
    from workers.models.heads.detections import Detections

METRICS = (
    Metric("ap", "maximize", "share", "average precision: mean over classes and the overlaps .50, .55, ... .95"),
    Metric("ap50", "maximize", "share", "average precision at overlap .50"),
    Metric("ap75", "maximize", "share", "average precision at overlap .75"),
    Metric("ap_small", "maximize", "share", "ap of objects below 32² px²"),
    Metric("ap_medium", "maximize", "share", "ap of objects from 32² to 96² px²"),
    Metric("ap_large", "maximize", "share", "ap of objects above 96² px²"),
    Metric("ar100", "maximize", "share", "recall with 100 detections of an image, mean as for ap"),
)
LATENCY = Metric("latency_ms", "minimize", "ms", "median time of detection in an image; measured if the job uses it")
TRAIN_LOSS = Metric("train_loss", "minimize", "", "mean loss of the epoch: the sum of its terms, train_loss/TERM")
"""Measured by the trainer, like the latency."""

_MOST = 100
"""Number of detections per image and class that count: the best."""
_AREAS = ("all", "small", "medium", "large")
"""The ranges of COCOeval's areaRng, in its order."""


def evaluate(
    detections: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """Yield (name, share) of each metric, from the detections and truths of each image, in px of its file."""
    precision, recall = _curves(detections, truths, len(classes))
    whole = precision[:, :, :, 0]  # (10, 101, K): objects of all sizes
    values = {
        "ap": whole,
        "ap50": whole[0],  # (101, K)
        "ap75": whole[5],  # (101, K)
        **{f"ap_{area}": precision[..., number] for number, area in enumerate(_AREAS) if number},  # (10, 101, K)
        "ar100": recall[:, :, 0],  # (10, K)
        **{f"ap/{name}": whole[:, :, label] for label, name in enumerate(classes)},  # (10, 101)
    }
    for name, cells in values.items():
        defined = cells[cells > -1]
        if defined.size:
            yield name, float(defined.mean())


def _curves(
    detections: Sequence[Detections], truths: Sequence[Truth], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision at overlap, recall, class, area (10, 101, K, 4), and recall at overlap, class, area (10, K, 4).

    Entries without an object are -1.
    """
    annotated = COCO(
        {
            "images": [{"id": image} for image in range(len(truths))],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": list(_annotations(truths)),
        }
    )
    judge = COCOeval_faster(annotated, annotated.loadRes(list(_results(detections))), "bbox", print_function=_silent)
    judge.params.maxDets = [_MOST]
    judge.evaluate()
    judge.accumulate()
    precision, recall = judge.eval["precision"], judge.eval["recall"]  # with a last axis of maxDets, of size 1
    return np.asarray(precision)[..., 0], np.asarray(recall)[..., 0]


def _annotations(truths: Sequence[Truth]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, truth in enumerate(truths):
        rows = zip(_left_top_sides(truth.boxes), truth.labels, truth.crowd, truth.areas, strict=True)
        for box, label, crowd, area in rows:
            # Ids start at 1: in COCO's evaluation, 0 means no match.
            number += 1
            of = {"id": number, "image_id": image, "category_id": int(label)}
            yield {**of, "bbox": box, "area": float(area), "iscrowd": int(crowd)}


def _results(detections: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    for image, of_image in enumerate(detections):
        boxes = _left_top_sides(of_image.boxes.xyxy.double().cpu().numpy())  # (d, 4)
        for box, score, label in zip(boxes, of_image.scores.tolist(), of_image.labels.tolist(), strict=True):
            yield {"image_id": image, "category_id": label, "bbox": box, "score": score}


def _left_top_sides(xyxy: NDArray[np.float64]) -> list[list[float]]:
    sides: list[list[float]] = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], 1).tolist()  # (m, 4)
    return sides


def _silent(*_: object) -> None:
    """Discard COCOeval's output."""

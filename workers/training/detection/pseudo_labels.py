"""Pseudo labels of detection: a teacher's boxes, after suppression, with a score of at least the threshold.

They are written in COCO's format, each with its score: a dataset of the images with such a box. Other images are left
out, since a teacher that finds nothing does not prove that nothing is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from searchsvc.domain.trial_task import TrialTask
from searchsvc.errors import below
from searchsvc.spaces.complete import CompleteValues
from workers.data.detection import DetectionDataset, Scenes, Truth, instances
from workers.data.detection import unlabelled as data
from workers.data.detection.remarks import Remarks
from workers.data.detection.unlabelled import UnlabelledScenes
from workers.data.teachers import check_teacher
from workers.evaluation.matching import matched
from workers.models.heads.detections import Detections
from workers.models.trained_detector import load
from workers.training import trial
from workers.training.detection.batches import SceneBatches
from workers.training.detection.inference import detect
from workers.training.precision import Precision
from workers.training.self_training.summary import TeacherLabels, nothing_kept
from workers.trials.files import PSEUDO_LABELS


@dataclass(frozen=True, slots=True, eq=False)
class _TeacherDetections:
    """A teacher's detections in an image, best first, in px of its file."""

    boxes: Truth
    scores: NDArray[np.float64]
    """(d,)"""

    @classmethod
    def of(cls, detections: Detections) -> _TeacherDetections:
        boxes, scores, labels = (
            tensor.cpu().numpy() for tensor in (detections.boxes.xyxy, detections.scores, detections.labels)
        )
        return cls(Truth.of(boxes.astype(np.float64), labels), scores.astype(np.float64))

    def above(self, threshold: float) -> _TeacherDetections:
        """Return the detections with at least this score."""
        sure = self.scores >= threshold
        return _TeacherDetections(Truth.of(self.boxes.boxes[sure], self.boxes.labels[sure]), self.scores[sure])


class BoxLabeller:
    """A `stages.Labeller` of scenes."""

    def __init__(self, dataset: DetectionDataset, device: torch.device, values: CompleteValues) -> None:
        """`values`: of the trial."""
        self._dataset, self._device, self._values = dataset, device, values

    def label(self, task: TrialTask, teacher: Path) -> TeacherLabels:
        threshold, images = float(self._values["pseudo_threshold"]), _images(task)
        answers = self._answers(task, teacher, images.scenes)
        scores, sure = np.concatenate([each.scores for each in answers]), [each.above(threshold) for each in answers]
        positions = [position for position, each in enumerate(sure) if len(each.scores)]
        if not positions:
            raise nothing_kept(threshold, f"no box in {len(answers)} images", float(scores.max(initial=0.0)))
        labels = np.concatenate([each.boxes.labels for each in sure])
        counts = np.bincount(labels, minlength=len(self._dataset.classes)).tolist()
        boxes = [each.boxes for each in sure]
        matches = matched(zip(boxes, images.scenes.truths, strict=True)) if images.annotated else None
        return TeacherLabels(
            file=PSEUDO_LABELS.format(".json"),
            content=json.dumps(self._document(images.scenes, positions, sure)).encode(),
            threshold=threshold,
            images=len(answers),
            kept=len(positions),
            counts=dict(zip(self._dataset.classes, counts, strict=True)),
            scores=scores,
            precision=matches.precision if matches else None,
            recall=matches.recall if matches else None,
        )

    def read(self, task: TrialTask, file: Path) -> Scenes:
        scenes = _images(task).scenes
        labelled = instances.read(file, "/self_training", Remarks())
        place = {name: position for position, name in enumerate(scenes.names)}
        index = np.array([place[name] for name in labelled.files], np.intp)
        return replace(scenes.take(index), truths=labelled.truths()[0])

    def _answers(self, task: TrialTask, teacher: Path, scenes: Scenes) -> list[_TeacherDetections]:
        """Return the teacher's detections in images without augmentation."""
        with below("/self_training/teacher"):
            check_teacher(teacher, task.task, self._dataset.classes)
        model = load(teacher, self._device)
        processes = task.threads
        split = SceneBatches.of(scenes, self._dataset, side=model.side, device=self._device, processes=processes)
        detections = detect(split, model.network, model.inputs, Precision.of(self._device))
        return [_TeacherDetections.of(each) for each in detections]

    def _document(
        self, scenes: Scenes, positions: Sequence[int], answers: Sequence[_TeacherDetections]
    ) -> dict[str, Any]:
        """Return pseudo labels in COCO's format; ids count from 1."""
        sizes = scenes.sizes[positions].tolist()
        return {
            "categories": [{"id": number, "name": name} for number, name in enumerate(self._dataset.classes, 1)],
            "images": [
                {"id": number, "file_name": scenes.names[position], "height": height, "width": width}
                for number, (position, (height, width)) in enumerate(zip(positions, sizes, strict=True), 1)
            ],
            "annotations": [{"id": number, **row} for number, row in enumerate(_annotations(positions, answers), 1)],
        }


def _annotations(positions: Sequence[int], answers: Sequence[_TeacherDetections]) -> Iterator[dict[str, Any]]:
    for image, position in enumerate(positions, 1):
        truth, scores = answers[position].boxes, answers[position].scores.tolist()
        rows = zip(truth.boxes.tolist(), truth.labels.tolist(), truth.areas.tolist(), scores, strict=True)
        for (left, top, right, bottom), label, area, score in rows:
            box = [left, top, right - left, bottom - top]
            of = {"image_id": image, "category_id": label + 1, "bbox": box, "area": area}
            yield {**of, "iscrowd": 0, "score": score}


def _images(task: TrialTask) -> UnlabelledScenes:
    """Return the unlabelled images. Raises InvalidInput with pointers into the spec."""
    assert task.self_training is not None
    with below("/self_training/unlabelled"):
        return data.load(task.self_training.unlabelled, task.dataset, trial.data_share_of(task).share)

"""Pseudo labels of detection: boxes that a teacher finds, after suppression, with a score of the threshold or more.

They are written in COCO's form, each with its score: a dataset of the images with such a box. The others are left out,
since a teacher that finds nothing is no proof that nothing is there.
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
from workers.data.detection.unlabelled import UnlabelledScenes
from workers.data.teachers import check_teacher
from workers.evaluation.matching import matched
from workers.models.heads.detections import Detections
from workers.models.trained_detector import load
from workers.training import trial
from workers.training.detection.batches import SceneBatches
from workers.training.detection.inference import found_in
from workers.training.precision import Precision
from workers.training.self_training.summary import Labelled, nothing_kept
from workers.trials.files import PSEUDO_LABELS


@dataclass(frozen=True, slots=True, eq=False)
class _TeacherDetections:
    """What the teacher finds in one image, the best first, in px of its file."""

    boxes: Truth
    scores: NDArray[np.float64]
    """(d,)."""

    @classmethod
    def of(cls, found: Detections) -> _TeacherDetections:
        boxes, scores, labels = (one.cpu().numpy() for one in (found.boxes.xyxy, found.scores, found.labels))
        return cls(Truth.of(boxes.astype(np.float64), labels), scores.astype(np.float64))

    def above(self, threshold: float) -> _TeacherDetections:
        """With such a score or a greater one."""
        sure = self.scores >= threshold
        return _TeacherDetections(Truth.of(self.boxes.boxes[sure], self.boxes.labels[sure]), self.scores[sure])


class BoxLabeller:
    """A `stages.Labeller` of scenes."""

    def __init__(self, dataset: DetectionDataset, device: torch.device, values: CompleteValues) -> None:
        """`values`: of the trial."""
        self._dataset, self._device, self._values = dataset, device, values

    def label(self, task: TrialTask, teacher: Path) -> Labelled:
        threshold, images = float(self._values["pseudo_threshold"]), _images(task)
        answers = self._answers(task, teacher, images.scenes)
        scores, sure = np.concatenate([one.scores for one in answers]), [one.above(threshold) for one in answers]
        kept = [position for position, one in enumerate(sure) if len(one.scores)]
        if not kept:
            raise nothing_kept(threshold, f"no box in {len(answers)} images", float(scores.max(initial=0.0)))
        labels = np.concatenate([one.boxes.labels for one in sure])
        counts = np.bincount(labels, minlength=len(self._dataset.classes)).tolist()
        found = [one.boxes for one in sure]
        matches = matched(zip(found, images.scenes.truths, strict=True)) if images.annotated else None
        return Labelled(
            file=PSEUDO_LABELS.format(".json"),
            content=json.dumps(self._document(images.scenes, kept, sure)).encode(),
            threshold=threshold,
            images=len(answers),
            kept=len(kept),
            counts=dict(zip(self._dataset.classes, counts, strict=True)),
            scores=scores,
            precision=matches.precision if matches else None,
            recall=matches.recall if matches else None,
        )

    def kept(self, task: TrialTask, file: Path) -> Scenes:
        scenes = _images(task).scenes
        found = instances.read(file, "/self_training")
        place = {name: position for position, name in enumerate(scenes.names)}
        index = np.array([place[name] for name in found.files], np.intp)
        return replace(scenes.take(index), truths=found.truths)

    def _answers(self, task: TrialTask, teacher: Path, scenes: Scenes) -> list[_TeacherDetections]:
        """Of images that are not augmented."""
        with below("/self_training/teacher"):
            check_teacher(teacher, task.task, self._dataset.classes)
        model = load(teacher, self._device)
        processes = task.threads
        split = SceneBatches.of(scenes, self._dataset, side=model.side, device=self._device, processes=processes)
        found = found_in(split, model.network, model.inputs, Precision.of(self._device))
        return [_TeacherDetections.of(one) for one in found]

    def _document(self, scenes: Scenes, kept: Sequence[int], answers: Sequence[_TeacherDetections]) -> dict[str, Any]:
        """In COCO's form; ids count from 1."""
        sizes = scenes.sizes[kept].tolist()
        return {
            "categories": [{"id": number, "name": name} for number, name in enumerate(self._dataset.classes, 1)],
            "images": [
                {"id": number, "file_name": scenes.names[position], "height": height, "width": width}
                for number, (position, (height, width)) in enumerate(zip(kept, sizes, strict=True), 1)
            ],
            "annotations": [{"id": number, **one} for number, one in enumerate(_annotations(kept, answers), 1)],
        }


def _annotations(kept: Sequence[int], answers: Sequence[_TeacherDetections]) -> Iterator[dict[str, Any]]:
    for image, position in enumerate(kept, 1):
        found, scores = answers[position].boxes, answers[position].scores.tolist()
        rows = zip(found.boxes.tolist(), found.labels.tolist(), found.areas.tolist(), scores, strict=True)
        for (left, top, right, bottom), label, area, score in rows:
            box = [left, top, right - left, bottom - top]
            of = {"image_id": image, "category_id": label + 1, "bbox": box, "area": area}
            yield {**of, "iscrowd": 0, "score": score}


def _images(task: TrialTask) -> UnlabelledScenes:
    """Raises InvalidInput, pointers into the spec."""
    assert task.self_training is not None
    with below("/self_training/unlabelled"):
        return data.load(task.self_training.unlabelled, task.dataset, trial.data_of(task).share)

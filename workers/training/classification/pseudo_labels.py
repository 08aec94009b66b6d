"""Pseudo labels of classification: a class for each image that a teacher is sure enough of, or its probabilities.

Their format follows that of the images: a csv with a row per image for image files, else an npz.

| npz | csv | meaning |
|---|---|---|
| index (k,) | image | position among all images of the file or the dataset; path of the file |
| y (k,) | label | the most likely class: its number, its name |
| scores (k,) | score | its probability |
| probabilities (k, K) | p(CLASS), ... | of every class; only for soft labels |
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from searchsvc.domain.trial_task import TrialTask
from searchsvc.errors import below
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.recipe import has_independent_classes
from workers.data.classification import unlabelled as data
from workers.data.classification.unlabelled import UnlabelledImages
from workers.data.dataset import Dataset, Images, Targets
from workers.data.teachers import check_teacher
from workers.models.trained import load
from workers.training import trial
from workers.training.classification.splits import in_order, with_targets
from workers.training.precision import Precision
from workers.training.self_training.summary import TeacherLabels, nothing_kept
from workers.trials.files import PSEUDO_LABELS

_IMAGE, _LABEL, _SCORE = "image", "label", "score"


@dataclass(frozen=True, slots=True, eq=False)
class _PseudoLabels:
    """Pseudo labels of k images."""

    places: NDArray[np.intp]
    """(k,) positions among the unlabelled images."""
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    """(k, K), if labels are soft."""


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabelledImages:
    """Images (k, c, h, w) with a student's targets: labels (k,), or probabilities of all classes (k, K)."""

    images: Images
    targets: Targets


class ClassLabeller:
    """A `stages.Labeller` of images."""

    def __init__(self, dataset: Dataset, device: torch.device, values: CompleteValues) -> None:
        """`values`: of the trial."""
        self._dataset, self._device, self._values = dataset, device, values

    def label(self, task: TrialTask, teacher: Path) -> TeacherLabels:
        values, images = self._values, _images(task)
        probabilities = self._answers(task, teacher, images, independent=has_independent_classes(values))  # (n, K)
        scores, labels = probabilities.max(1), probabilities.argmax(1)  # (n,), (n,)
        threshold = float(values["pseudo_threshold"])
        index = np.flatnonzero(scores >= threshold)  # (k,)
        if not len(index):
            raise nothing_kept(threshold, f"none of {len(images)} images", float(scores.max(initial=0.0)))
        soft = probabilities[index] if values["pseudo_labels"] == "soft" else None
        pseudo = _PseudoLabels(index, labels[index], scores[index], soft)
        suffix, content = (".npz", _npz(pseudo, images))
        if images.names is not None:
            suffix, content = ".csv", self._csv(pseudo, images.names)
        counts = np.bincount(pseudo.labels, minlength=len(self._dataset.classes)).tolist()
        correct = None if images.truth is None else int((images.truth[index] == labels[index]).sum())
        return TeacherLabels(
            file=PSEUDO_LABELS.format(suffix),
            content=content,
            threshold=threshold,
            images=len(images),
            kept=len(index),
            counts=dict(zip(self._dataset.classes, counts, strict=True)),
            scores=scores,
            precision=None if correct is None else correct / len(index),
            recall=None if correct is None else correct / len(images),
        )

    def read(self, task: TrialTask, file: Path) -> PseudoLabelledImages:
        images = _images(task)
        pseudo = _from_npz(file, images) if images.names is None else self._from_csv(file, images.names)
        targets = pseudo.labels if pseudo.probabilities is None else pseudo.probabilities
        return PseudoLabelledImages(images.images.take(pseudo.places, axis=0), targets)

    @torch.inference_mode()
    def _answers(
        self, task: TrialTask, teacher: Path, images: UnlabelledImages, *, independent: bool
    ) -> NDArray[np.float32]:
        """Return probabilities (n, K) of images without augmentation; rows sum to 1 unless `independent`."""
        with below("/self_training/teacher"):
            check_teacher(teacher, task.task, self._dataset.classes, self._dataset.info.shape)
        model, precision = load(teacher, self._device), Precision.of(self._device)
        split = with_targets(images.images, np.zeros(len(images), np.int64), self._device, task.threads)
        answers = []
        for batch, _ in in_order(split, model.inputs.batch):
            with precision.autocast():
                logits = model.network(model.inputs(batch))
            answers.append(model.shares(logits.float()))
        shares = torch.cat(answers)  # (n, K)
        if model.independent and not independent:
            shares = shares / shares.sum(1, keepdim=True)
        return shares.cpu().numpy()

    # ---- csv ---------------------------------------------------------------------------------------------------------

    def _csv(self, pseudo: _PseudoLabels, names: tuple[str, ...]) -> bytes:
        classes, text = self._dataset.classes, io.StringIO(newline="")
        writer = csv.writer(text)
        soft = [] if pseudo.probabilities is None else pseudo.probabilities.tolist()
        writer.writerow([_IMAGE, _LABEL, _SCORE, *(f"p({name})" for name in classes if soft)])
        rows = zip(pseudo.places, pseudo.labels, pseudo.scores.tolist(), soft or [[]] * len(pseudo.places), strict=True)
        writer.writerows([names[place], classes[label], score, *shares] for place, label, score, shares in rows)
        return text.getvalue().encode()

    def _from_csv(self, file: Path, names: tuple[str, ...]) -> _PseudoLabels:
        place = {name: position for position, name in enumerate(names)}
        label = {name: position for position, name in enumerate(self._dataset.classes)}
        with file.open(newline="", encoding="utf-8") as lines:
            _, *rows = csv.reader(lines)
        numbers = np.array([row[2:] for row in rows], np.float32)  # (k, 1) or (k, 1 + K)
        return _PseudoLabels(
            np.array([place[row[0]] for row in rows], np.intp),
            np.array([label[row[1]] for row in rows], np.int64),
            numbers[:, 0],
            numbers[:, 1:] if numbers.shape[1] > 1 else None,
        )


# ---- npz -------------------------------------------------------------------------------------------------------------


def _npz(pseudo: _PseudoLabels, images: UnlabelledImages) -> bytes:
    arrays: dict[str, Any] = {"index": images.places[pseudo.places], "y": pseudo.labels, "scores": pseudo.scores}
    if pseudo.probabilities is not None:
        arrays["probabilities"] = pseudo.probabilities
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _from_npz(file: Path, images: UnlabelledImages) -> _PseudoLabels:
    with np.load(file, allow_pickle=False) as arrays:
        order = np.argsort(images.places)
        places = order[np.searchsorted(images.places, arrays["index"], sorter=order)]
        return _PseudoLabels(places, arrays["y"], arrays["scores"], arrays.get("probabilities"))


def _images(task: TrialTask) -> UnlabelledImages:
    """Return the unlabelled images. Raises InvalidInput with pointers into the spec."""
    assert task.self_training is not None
    with below("/self_training/unlabelled"):
        return data.load(task.self_training.unlabelled, task.dataset, trial.data_share_of(task).share)

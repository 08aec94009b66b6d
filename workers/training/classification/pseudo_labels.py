"""Pseudo labels of classification: a class for each image that a teacher is sure enough of, or its probabilities.

They are written as the images are kept: of files, a csv with a row for each image; else an npz.

| npz | csv | meaning |
|---|---|---|
| index (k,) | image | place among all images of the file or the dataset; path of the file |
| y (k,) | label | the most likely class: its number, its name |
| scores (k,) | score | its probability |
| probabilities (k, K) | p(CLASS), ... | of every class; only of soft labels |
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
from workers.training.self_training.summary import Labelled, nothing_kept
from workers.trials.files import PSEUDO_LABELS

_IMAGE, _LABEL, _SCORE = "image", "label", "score"


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """k pseudo labels."""

    places: NDArray[np.intp]
    """(k,): positions among the images without labels."""
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    """(k, K), of soft ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """Images (k, c, h, w) and what a student is to say of them: labels (k,), or the shares of all classes (k, K)."""

    images: Images
    targets: Targets


class ClassLabeller:
    """A `stages.Labeller` of images with targets."""

    def __init__(self, dataset: Dataset, device: torch.device, values: CompleteValues) -> None:
        """`values`: of the trial."""
        self._dataset, self._device, self._values = dataset, device, values

    def label(self, task: TrialTask, teacher: Path) -> Labelled:
        values, images = self._values, _images(task)
        probabilities = self._answers(task, teacher, images, independent=has_independent_classes(values))  # (n, K)
        scores, labels = probabilities.max(1), probabilities.argmax(1)
        threshold = float(values["pseudo_threshold"])
        index = np.flatnonzero(scores >= threshold)
        if not len(index):
            raise nothing_kept(threshold, f"none of {len(images)} images", float(scores.max(initial=0.0)))
        soft = probabilities[index] if values["pseudo_labels"] == "soft" else None
        kept = _Kept(index, labels[index], scores[index], soft)
        suffix, content = (".npz", _npz(kept, images))
        if images.names is not None:
            suffix, content = ".csv", self._csv(kept, images.names)
        counts = np.bincount(kept.labels, minlength=len(self._dataset.classes)).tolist()
        right = None if images.truth is None else int((images.truth[index] == labels[index]).sum())
        return Labelled(
            file=PSEUDO_LABELS.format(suffix),
            content=content,
            threshold=threshold,
            images=len(images),
            kept=len(index),
            counts=dict(zip(self._dataset.classes, counts, strict=True)),
            scores=scores,
            precision=None if right is None else right / len(index),
            recall=None if right is None else right / len(images),
        )

    def kept(self, task: TrialTask, file: Path) -> Taught:
        images = _images(task)
        kept = _from_npz(file, images) if images.names is None else self._from_csv(file, images.names)
        targets = kept.labels if kept.probabilities is None else kept.probabilities
        return Taught(images.images.take(kept.places, axis=0), targets)

    @torch.inference_mode()
    def _answers(
        self, task: TrialTask, teacher: Path, images: UnlabelledImages, *, independent: bool
    ) -> NDArray[np.float32]:
        """(n, K): probabilities, of images that are not augmented; they sum to 1 unless they may be `independent`."""
        with below("/self_training/teacher"):
            check_teacher(teacher, task.task, self._dataset.classes, self._dataset.info.shape)
        model, precision = load(teacher, self._device), Precision.of(self._device)
        split = with_targets(images.images, np.zeros(len(images), np.int64), self._device, task.threads)
        answers = []
        for batch, _ in in_order(split, model.inputs.batch):
            with precision.autocast():
                logits = model.network(model.inputs(batch))
            answers.append(model.shares(logits.float()))
        shares = torch.cat(answers)
        if model.independent and not independent:
            shares = shares / shares.sum(1, keepdim=True)
        return shares.cpu().numpy()

    # ---- csv ---------------------------------------------------------------------------------------------------------

    def _csv(self, kept: _Kept, names: tuple[str, ...]) -> bytes:
        classes, text = self._dataset.classes, io.StringIO(newline="")
        writer = csv.writer(text)
        soft = [] if kept.probabilities is None else kept.probabilities.tolist()
        writer.writerow([_IMAGE, _LABEL, _SCORE, *(f"p({name})" for name in classes if soft)])
        rows = zip(kept.places, kept.labels, kept.scores.tolist(), soft or [[]] * len(kept.places), strict=True)
        writer.writerows([names[place], classes[label], score, *shares] for place, label, score, shares in rows)
        return text.getvalue().encode()

    def _from_csv(self, file: Path, names: tuple[str, ...]) -> _Kept:
        place = {name: position for position, name in enumerate(names)}
        label = {name: position for position, name in enumerate(self._dataset.classes)}
        with file.open(newline="", encoding="utf-8") as lines:
            _, *rows = csv.reader(lines)
        numbers = np.array([row[2:] for row in rows], np.float32)  # (k, 1) or (k, 1 + K)
        return _Kept(
            np.array([place[row[0]] for row in rows], np.intp),
            np.array([label[row[1]] for row in rows], np.int64),
            numbers[:, 0],
            numbers[:, 1:] if numbers.shape[1] > 1 else None,
        )


# ---- npz -------------------------------------------------------------------------------------------------------------


def _npz(kept: _Kept, images: UnlabelledImages) -> bytes:
    arrays: dict[str, Any] = {"index": images.places[kept.places], "y": kept.labels, "scores": kept.scores}
    if kept.probabilities is not None:
        arrays["probabilities"] = kept.probabilities
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _from_npz(file: Path, images: UnlabelledImages) -> _Kept:
    with np.load(file, allow_pickle=False) as arrays:
        order = np.argsort(images.places)
        places = order[np.searchsorted(images.places, arrays["index"], sorter=order)]
        return _Kept(places, arrays["y"], arrays["scores"], arrays.get("probabilities"))


def _images(task: TrialTask) -> UnlabelledImages:
    """Raises InvalidInput, pointers into the spec."""
    assert task.self_training is not None
    with below("/self_training/unlabelled"):
        return data.load(task.self_training.unlabelled, task.dataset, trial.data_of(task).share)

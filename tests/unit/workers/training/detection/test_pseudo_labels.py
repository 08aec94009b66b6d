"""Self-trained detectors: pseudo boxes, their file and quality, and kills at every stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from searchsvc.checksums import sha256_of
from searchsvc.domain import FailureKind, Measurement, SelfTraining, TrialState, TrialTask, WeightsFile
from searchsvc.errors import InvalidInput
from searchsvc.spaces import networks
from tests.support.detection import a_task, pets
from tests.support.scenes import document, section, truth, write
from workers.data import detection as data
from workers.data.detection import instances, unlabelled
from workers.evaluation.matching import matched
from workers.tasks.detection import TASK
from workers.training.detection.batches import SceneBatches
from workers.training.detection.trainer import DetectorTrainer, inputs_of, untrained
from workers.training.pseudo_labelled import PseudoLabelled
from workers.trials.run_trial import TrialRun

CPU = torch.device("cpu")
LOW = {"self_training": True, "pseudo_threshold": 0.0}
"""Self-training with a threshold of 0, since detectors of few epochs have low scores."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return pets(tmp_path_factory.mktemp("pets"))


@pytest.fixture(scope="module")
def first(dataset: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Measurement]:
    """Return a trial that repeated its images often before it labelled others, and its only epoch."""
    folder = tmp_path_factory.mktemp("first")
    values = {"augmentation": "none", "lr": 0.01, "lr_decay": 1.0}
    [measured] = TrialRun(half(dataset, folder, values, self_training=SelfTraining(teacher_epochs=16)))
    return folder, measured


@pytest.fixture(scope="module")
def teacher(first: tuple[Path, Measurement]) -> WeightsFile:
    path = first[0] / "teacher" / "model.safetensors"
    return WeightsFile(str(path), sha256_of(path))


def half(dataset: dict[str, Any], directory: Path, values: Mapping[str, Any], **fields: Any) -> TrialTask:
    """Return a student of half the images."""
    task = a_task(dataset, directory, {**LOW, **values}, **{"self_training": SelfTraining(), **fields})
    return replace(task, fidelity=task.fidelity.model_copy(update={"data_fraction": 0.5}))


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def test_pseudo_boxes_are_a_dataset_in_cocos_form(
    dataset: dict[str, Any], teacher: WeightsFile, tmp_path: Path
) -> None:
    task = half(dataset, tmp_path / "trial", {"pseudo_threshold": 0.2}, self_training=SelfTraining(teacher=teacher))
    run = TrialRun(task)
    [measured] = run
    assert [one.name for one in run.outcome().files][-2:] == ["pseudo-labels-summary.json", "pseudo-labels.json"]
    content = json.loads((tmp_path / "trial" / "pseudo-labels.json").read_bytes())
    assert min(one["score"] for one in content["annotations"]) >= 0.2
    parsed = instances.parse(content)
    assert parsed.classes == ("cat", "dog")
    rest = data.load(dataset).rest(0.5)
    assert set(parsed.files) <= set(rest.names)
    report = json.loads((tmp_path / "trial" / "pseudo-labels-summary.json").read_bytes())
    assert report["images"] == len(rest)
    assert report["kept"] == len(parsed.files)
    assert report["labels"] == sum(report["labels_by_class"].values()) == len(content["annotations"])
    assert measured.metrics["pseudo_kept"] == report["kept"] / report["images"]
    assert 0.0 <= measured.metrics["pseudo_precision"] <= 1.0
    assert measured.metrics["pseudo_train_loss"] > 0.0
    terms = sum(value for name, value in measured.metrics.items() if name.startswith("train_loss/"))
    assert measured.metrics["train_loss"] == pytest.approx(terms, rel=1e-5)


def test_a_trial_without_a_teacher_trains_its_own(first: tuple[Path, Measurement]) -> None:
    folder, measured = first
    assert measured.step == 1
    assert measured.metrics["pseudo_kept"] > 0.0
    teacher, student = weights(folder / "teacher"), weights(folder)
    assert teacher.keys() == student.keys()
    assert not all(torch.equal(one, teacher[name]) for name, one in student.items())


def test_a_student_closed_after_an_epoch_goes_on_to_the_same_bits(
    dataset: dict[str, Any], teacher: WeightsFile, tmp_path: Path
) -> None:
    values = {"augmentation": "S4", "flip": True, "ema": True, "sample_weighting": "swn"}
    how = SelfTraining(teacher=teacher)
    whole = half(dataset, tmp_path / "whole", values, epochs=2, self_training=how)
    expected = [dict(one.metrics) for one in TrialRun(whole)]
    task = half(dataset, tmp_path / "closed", values, epochs=2, self_training=how)
    run = TrialRun(task)
    before = dict(next(run).metrics)
    run.close()
    after = [dict(one.metrics) for one in TrialRun(replace(task, attempt=2, stored_step=1))]
    assert [before, *after] == expected
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "closed")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_labelled_images_meet_the_draws_that_they_meet_alone(dataset: dict[str, Any]) -> None:
    """So a student differs from its control only by the pseudo-labelled images."""
    pets = data.load(dataset)
    values = networks.complete(a_task(dataset, Path("nowhere")).values, "detection")
    seen: list[list[torch.Tensor]] = []
    for with_others in (False, True):
        model = untrained(values, pets, 7)
        split = SceneBatches.of(pets.train, pets, side=model.size[0], device=CPU, processes=0)
        pseudo_labelled = PseudoLabelled(split, len(split), alpha=1e-3, seed=7) if with_others else None
        inputs = inputs_of(values, pets, CPU)
        trainer = DetectorTrainer(
            model, values, split, inputs, epochs=1, seed=7, device=CPU, pseudo_labelled=pseudo_labelled
        )
        shown: list[torch.Tensor] = []
        step = trainer._train_step
        trainer._train_step = lambda one, other, s=step, to=shown: (to.append(one.images), s(one, other))[1]  # type: ignore[method-assign, misc]
        trainer.train_epoch(1)
        seen.append(shown)
    assert all(torch.equal(one, other) for one, other in zip(*seen, strict=True))


def test_a_folder_without_annotations_is_a_folder_of_images(dataset: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "more", document(5))
    (tmp_path / "more" / "instances.json").unlink()
    for number in range(5):  # pictures of their own
        path = tmp_path / "more" / "images" / f"{number}.png"
        path.rename(path.with_name(f"new-{number}.png"))
    coco = {"name": "more", "format": "coco", "path": str(tmp_path / "more")}
    images = {"name": "more", "format": "images", "path": str(tmp_path / "more" / "images")}
    with pytest.raises(InvalidInput, match="would leak"):  # the same noise as in the dataset
        unlabelled.load(images, dataset, 1.0)
    _repaint(tmp_path / "more" / "images")
    for source in (coco, images):
        loaded = unlabelled.load(source, dataset, 1.0)
        assert not loaded.annotated
        assert loaded.scenes.names == tuple(f"new-{number}.png" for number in range(5))
        assert loaded.scenes.sizes[:2].tolist() == [[40, 60], [60, 40]]
    with pytest.raises(InvalidInput, match="/annotations: there is no file"):
        unlabelled.load({**coco, "annotations": "instances.json"}, dataset, 1.0)


def _repaint(folder: Path) -> None:
    random = np.random.default_rng(1)
    for path in folder.iterdir():
        with Image.open(path) as image:
            size = image.height, image.width
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)


def test_a_threshold_that_keeps_nothing_is_named(dataset: dict[str, Any], teacher: WeightsFile, tmp_path: Path) -> None:
    how = SelfTraining(teacher=teacher)
    run = TrialRun(half(dataset, tmp_path / "trial", {"pseudo_threshold": 1.0}, self_training=how))
    assert list(run) == []
    outcome = run.outcome()
    assert (outcome.state, outcome.failure) == (TrialState.FAILED, FailureKind.ERROR)
    assert (outcome.message or "").startswith("pseudo_threshold 1 keeps no box in")


def test_a_teacher_of_other_classes_is_refused(teacher: WeightsFile, tmp_path: Path) -> None:
    content = document(12)
    content["categories"][0]["name"] = "wolf"
    write(tmp_path, content)
    said = r"/teacher: the teacher has 2 classes \(cat, dog\), the dataset 2 \(cat, wolf\)"
    with pytest.raises(InvalidInput, match=said):
        TASK.check_self_training(SelfTraining(teacher=teacher), section(tmp_path), 0.5)


# ---- how good boxes are ----------------------------------------------------------------------------------------------

CAT, DOG = 0, 1


def test_each_object_is_found_once_by_the_best_box_of_its_class() -> None:
    objects = truth([[0, 0, 10, 10], [20, 20, 40, 40]], [CAT, DOG])
    predicted = truth([[1, 0, 10, 10], [0, 0, 10, 11], [20, 20, 40, 40], [21, 21, 40, 40]], [CAT, CAT, CAT, DOG])
    matches = matched([(predicted, objects), (truth([], []), truth([[0, 0, 4, 4]], [DOG]))])
    assert (matches.right, matches.boxes, matches.objects) == (2, 4, 3)
    assert matches.precision == 0.5
    assert matches.recall == pytest.approx(2 / 3)


def test_boxes_in_a_crowd_are_neither_right_nor_wrong() -> None:
    objects = truth([[0, 0, 100, 100], [50, 50, 70, 70]], [CAT, CAT], crowd=(0,))
    predicted = truth([[50, 50, 70, 70], [10, 10, 30, 30], [10, 10, 30, 30]], [CAT, CAT, DOG])
    matches = matched([(predicted, objects)])
    assert (matches.right, matches.boxes, matches.objects) == (1, 2, 1)


def test_nothing_found_and_nothing_there_is_no_share() -> None:
    matches = matched([(truth([], []), truth([], []))])
    assert matches.precision is None
    assert matches.recall is None

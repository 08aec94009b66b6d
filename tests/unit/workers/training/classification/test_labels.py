"""Doubtful labels: metrics by label sets, stored predictions, independent classes, training on cleaned labels."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain import LabelledTask, SelfTraining, TrialState, TrialTask
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.labels import Predictions
from searchsvc.labels.files import write_labels
from searchsvc.spaces import recipe
from searchsvc.spaces.networks import complete
from workers.data import classification as data
from workers.models import load
from workers.tasks.classification import TASK
from workers.training.classification import cleaning
from workers.training.classification.augment import smoothed
from workers.training.classification.class_loss import LOSSES, class_loss, start_rare
from workers.training.classification.trainer import untrained

DIGITS = {"name": "digits"}


def doubted(folder: Path, change: Callable[[int, int], list[int]]) -> dict[str, Any]:
    """Return the section of digits with a label file: for each validation image, `change` of its position and label."""
    images = TASK.validation(DIGITS)
    sets = {
        name: [str(one) for one in change(place, int(label))]
        for place, (name, label) in enumerate(zip(images.names, images.labels, strict=True))
    }
    write_labels(sets, folder / "labels.csv")
    return {**DIGITS, "reassessed": str(folder / "labels.csv")}


# ---- label files and predictions -------------------------------------------------------------------------------------


def test_real_accuracy_is_measured_beside_accuracy_and_as_the_kept_predictions_say(
    make_task: Any, train: Any, tmp_path: Path
) -> None:
    section = doubted(tmp_path, lambda place, label: [] if place % 3 == 0 else [label, (label + 1) % 10])
    task = make_task(dataset=section, epochs=2)
    trained = train(task)
    assert trained.outcome.state is TrialState.SUCCEEDED, trained.outcome.message
    assert [made.name for made in trained.outcome.files] == ["model.safetensors", "predictions.npz"]
    best = max(trained.metrics, key=lambda one: one["accuracy"])
    predictions = Predictions.read(Path(task.directory) / "predictions.npz")
    validation = data.load(DIGITS).validation
    np.testing.assert_array_equal(predictions.labels, validation.labels)
    said = load(Path(task.directory) / "model.safetensors").probabilities(validation.images[:, 0])
    np.testing.assert_array_equal(predictions.classes, np.argsort(-said, 1, "stable"))
    np.testing.assert_allclose(predictions.probabilities, -np.sort(-said, 1), atol=1e-3)
    assert predictions.accuracy == best["accuracy"]
    counted = np.arange(len(predictions.labels)) % 3 > 0
    gap = (predictions.classes.astype(int) - predictions.labels[:, None])[counted] % 10
    assert best["real_accuracy"] == (gap[:, 0] <= 1).mean()
    assert best["real_accuracy_top5"] == (gap[:, :5] <= 1).any(1).mean()


def test_a_dataset_without_a_label_file_says_what_it_takes() -> None:
    assert "dataset.reassessed" in TASK.inspect(DIGITS, 0).unmeasured["real_accuracy"]


def test_faults_of_the_file_are_told_at_the_option(tmp_path: Path) -> None:
    section = doubted(tmp_path, lambda place, label: [label] if place else [10])
    with pytest.raises(InvalidInput, match=r"/reassessed: /.+/0 no class '10'; there are 0, 1, 2"):
        data.load(section)
    with pytest.raises(InvalidInput, match="/reassessed: there is no file"):
        data.load({**DIGITS, "reassessed": str(tmp_path / "absent.csv")})


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    section = doubted(tmp_path, lambda _, label: [label])
    before = data.load(section).reassessed
    doubted(tmp_path, lambda _, label: [label, (label + 5) % 10])
    after = data.load(section).reassessed
    assert before is not None
    assert after is not None
    assert len(after.classes) == 2 * len(before.classes)


def test_files_of_a_folder_are_named_by_path_and_numbered_by_name(tmp_path: Path) -> None:
    for place in range(12):
        folder = tmp_path / ("odd" if place % 2 else "even")
        folder.mkdir(exist_ok=True)
        Image.new("L", (8, 8), 20 * place).save(folder / f"val_{place:04d}.png")
    section = {"name": "x", "format": "imagefolder", "path": str(tmp_path), "size": 8, "color": False}
    images = TASK.validation(section)
    assert images.total == 12
    assert [f"{'odd' if one % 2 else 'even'}/val_{one:04d}.png" for one in images.numbers] == list(images.names)
    shown = Image.open(io.BytesIO(TASK.picture(section, 0)))
    assert shown.getpixel((0, 0)) == 20 * images.numbers[0]


def test_pictures_are_those_of_the_validation_split_as_light_as_they_can_be() -> None:
    assert isinstance(TASK, LabelledTask)
    shown = np.asarray(Image.open(io.BytesIO(TASK.picture(DIGITS, 3))))
    np.testing.assert_array_equal(shown, data.load(DIGITS).validation.images[3, 0] * 15)
    with pytest.raises(NotFound):
        TASK.picture(DIGITS, 287)


# ---- a yes or no to each class ---------------------------------------------------------------------------------------


def test_the_sigmoid_loss_sums_over_classes_and_means_over_images() -> None:
    logits, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    plain = F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, 4).float(), reduction="none").sum(1).mean()
    assert class_loss("sigmoid", logits, labels, 0.0) == pytest.approx(float(plain))
    soft = smoothed(labels, 4, 0.2)
    assert class_loss("sigmoid", logits, labels, 0.2) == pytest.approx(float(class_loss("sigmoid", logits, soft, 0.0)))
    assert class_loss("softmax", logits, labels, 0.2) == F.cross_entropy(logits, labels, label_smoothing=0.2)


def test_every_loss_that_a_recipe_can_name_is_computed() -> None:
    assert set(LOSSES) == set(recipe.CLASSIFIER_LOSSES)


def test_every_class_is_rare_at_first(make_task: Any) -> None:
    task = make_task(values={"class_loss": "sigmoid"})
    network = untrained(complete(task.values), data.load(DIGITS), 0)
    torch.testing.assert_close(torch.sigmoid(network.classifier.bias), torch.full((10,), 1 / 11))
    start_rare(network, 100)
    assert network.classifier.bias[0] < -4.6


def test_a_network_trained_by_it_learns_and_gives_each_class_a_probability_of_its_own(
    make_task: Any, train: Any
) -> None:
    values = {"class_loss": "sigmoid", "label_smoothing": 0.1, "mixup": 0.1}
    task = make_task(values=values, epochs=5, data_fraction=1.0)
    assert train(task).metrics[-1]["accuracy"] > 0.9
    predictions = Predictions.read(Path(task.directory) / "predictions.npz")
    said = load(Path(task.directory) / "model.safetensors").probabilities(data.load(DIGITS).validation.images[:, 0])
    np.testing.assert_allclose(predictions.probabilities, -np.sort(-said, 1), atol=1e-3)
    assert np.abs(said.sum(1) - 1).max() > 0.05


# ---- cleaned labels --------------------------------------------------------------------------------------------------


@pytest.fixture
def mislabelled(tmp_path: Path) -> tuple[dict[str, Any], set[int]]:
    """Write digits with 8 % wrong labels to a file, and return the rows that are wrong."""
    from sklearn.datasets import load_digits

    digits, random = load_digits(), np.random.default_rng(0)
    wrong = random.choice(len(digits.target), round(0.08 * len(digits.target)), replace=False)
    labels = digits.target.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, 10, len(wrong))) % 10
    np.savez(tmp_path / "digits.npz", x_train=digits.images.astype(np.uint8), y_train=labels)
    return {"name": "files", "format": "npz", "path": str(tmp_path / "digits.npz")}, set(wrong.tolist())


CLEANED = {"clean_folds": 2}


def dropped(task: TrialTask) -> list[int]:
    return json.loads((Path(task.directory) / "dropped.json").read_text())["dropped"]  # type: ignore[no-any-return]


def test_cleaning_drops_most_wrong_labels_and_few_right_ones(
    make_task: Any, train: Any, mislabelled: tuple[dict[str, Any], set[int]]
) -> None:
    section, wrong = mislabelled
    task = make_task(dataset=section, values=CLEANED, epochs=4, data_fraction=1.0)
    outcome = train(task).outcome
    assert "dropped.json" in [made.name for made in outcome.files], outcome.message
    train_split = data.load(section).train
    labels = np.load(section["path"])["y_train"]
    images = {image.tobytes(): row for row, image in enumerate(np.load(section["path"])["x_train"])}
    rows = np.array([images[image[0].tobytes()] for image in train_split.images])
    is_wrong = np.isin(rows, list(wrong))
    np.testing.assert_array_equal(labels[rows], train_split.labels)
    is_dropped = np.isin(np.arange(len(rows)), dropped(task))
    assert is_dropped[is_wrong].mean() > 0.9
    assert is_dropped[~is_wrong].mean() < 0.15


def test_folds_are_asked_once_for_all_trials_and_gone_on_with(
    make_task: Any, train: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = cleaning._predicted_fold

    def counting(*arguments: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 2:
            raise InvalidInput.at("", "killed in the middle")
        return real(*arguments)

    monkeypatch.setattr(cleaning, "_predicted_fold", counting)
    assert train(make_task("first", CLEANED, epochs=1)).outcome.state is TrialState.FAILED
    again, other = (make_task(name, {**CLEANED, "lr": rate}, epochs=1) for name, rate in (("first", 0.1), ("two", 0.2)))
    assert [train(one).outcome.state for one in (again, other)] == [TrialState.SUCCEEDED] * 2
    assert len(calls) == 3
    assert dropped(again) == dropped(other)
    how = {"self_training": SelfTraining(teacher_epochs=2)}
    taught = make_task("taught", {**CLEANED, "self_training": True, "pseudo_threshold": 0.0}, epochs=1, **how)
    assert train(taught).outcome.state is TrialState.SUCCEEDED
    assert len(calls) == 3
    monkeypatch.setattr(cleaning, "_predicted_fold", real)
    alone = replace(again, directory=str(Path(again.directory) / "elsewhere" / "alone"))
    assert train(alone).outcome.state is TrialState.SUCCEEDED
    assert dropped(alone) == dropped(again)


def test_every_class_has_its_share_of_each_fold() -> None:
    labels = np.repeat(np.arange(7), 30)
    counts = np.stack([np.bincount(labels[cleaning.assigned(labels, 5) == fold], minlength=7) for fold in range(5)])
    assert (counts == 6).all()


def test_a_class_that_nobody_finds_keeps_its_images(make_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data.load(DIGITS)
    answers = np.where(digits.train.labels == 3, 5, digits.train.labels)
    answers[:2] = (answers[:2] + 1) % 10
    monkeypatch.setattr(cleaning, "out_of_fold", lambda *_: answers)
    disagreeing = cleaning.disagreeing(make_task(), digits, digits.train, 5, torch.device("cpu"), lambda: None)
    assert set(disagreeing) == {0, 1} - set(np.flatnonzero(digits.train.labels == 3))


def test_the_values_of_a_script_are_those_of_the_trial(make_task: Any, train: Any, tmp_path: Path) -> None:
    from tests.unit.workers.export.test_script import imported
    from workers.export.script import write

    task = make_task(values={**CLEANED, "class_loss": "sigmoid"}, epochs=1, data_fraction=1.0)
    [metrics] = train(task).metrics
    write(load(Path(task.directory) / "model.safetensors"), task, tmp_path / "cleaned.py")
    script = imported(tmp_path / "cleaned.py")
    from sklearn.datasets import load_digits

    digits = load_digits()
    np.savez(tmp_path / "digits.npz", x_train=digits.images.astype(np.uint8), y_train=digits.target)
    parts: Mapping[str, Any] = script.read(tmp_path / "digits.npz")
    assert len(parts["train"]) == 1151 - len(dropped(task))
    [(loss, _)] = script.TrainingRun(torch.device("cpu"), None).train(parts["train"], 1)
    assert loss == pytest.approx(metrics["train_loss"])

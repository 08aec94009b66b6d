"""Self-trained classifiers: learning, files, refusals, and kills at every stage."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from searchsvc.checksums import sha256_of
from searchsvc.domain import FailureKind, SelfTraining, TrialState, TrialTask, WeightsFile
from searchsvc.errors import InvalidInput
from searchsvc.spaces.networks import complete
from tests.unit.workers.conftest import Trained
from workers.data import classification as data
from workers.data.classification import unlabelled
from workers.models import load
from workers.tasks.classification import TASK
from workers.training import trial
from workers.training.checkpoint import Checkpoints
from workers.training.classification.augment import smoothed
from workers.training.classification.pseudo_labels import ClassLabeller
from workers.training.classification.run import train as train_task
from workers.training.pseudo_labelled import PseudoLabelled
from workers.trials import files
from workers.trials.files import MODEL
from workers.trials.run_trial import TrialRun

DIGITS = {"name": "digits"}
Make = Callable[..., TrialTask]
Train = Callable[..., Trained]


@pytest.fixture
def student(make_task: Make) -> Make:
    """Return a task that is self-trained on a twentieth of digits; the other images are unlabelled."""

    def make(folder: str = "trial", values: dict[str, Any] | None = None, **fields: Any) -> TrialTask:
        how = fields.pop("how", SelfTraining())
        recipe = {"self_training": True, "pseudo_threshold": 0.0, "batch_size": 16, **(values or {})}
        return make_task(folder, recipe, **{"data_fraction": 0.05, "epochs": 2, "self_training": how, **fields})

    return make


def summary(task: TrialTask, folder: str = ".") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((Path(task.directory) / folder / "pseudo-labels-summary.json").read_bytes())
    return content


def weights(task: TrialTask, folder: str = ".") -> dict[str, torch.Tensor]:
    return load_file(Path(task.directory) / folder / MODEL)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---- what is learnt --------------------------------------------------------------------------------------------------


def test_students_learn_more_than_their_teachers(student: Make, train: Train) -> None:
    gains = []
    for seed in (1, 2):
        task = student(f"seed-{seed}", {"pseudo_labels": "hard", "pseudo_threshold": 0.7}, epochs=20, seed=seed)
        metrics = train(task).metrics
        teacher, taught = (load(Path(task.directory) / one / MODEL).card.metrics for one in ("teacher", "."))
        gains.append(taught["accuracy"] - teacher["accuracy"])
        assert metrics[-1]["pseudo_train_loss"] < metrics[0]["pseudo_train_loss"]
        assert metrics[-1]["pseudo_precision"] > teacher["accuracy"]  # it is surer of what it knows
    assert np.mean(gains) > 0.02


def test_the_teacher_is_the_trial_without_pseudo_labels(student: Make, make_task: Make, train: Train) -> None:
    task = student(epochs=1)
    alone = make_task("alone", {"batch_size": 16}, epochs=1, data_fraction=0.05)
    [metrics], [without] = train(task).metrics, train(alone).metrics
    assert same(weights(task, "teacher"), weights(alone))
    added = {"pseudo_train_loss", "pseudo_kept", "pseudo_precision", "pseudo_recall"}
    assert metrics.keys() - without.keys() == added
    assert metrics["pseudo_recall"] == pytest.approx(metrics["pseudo_precision"] * metrics["pseudo_kept"])


def test_what_is_kept_and_known_of_pseudo_labels(student: Make, train: Train) -> None:
    task = student(
        values={"pseudo_labels": "hard", "pseudo_threshold": 0.4}, epochs=1, how=SelfTraining(teacher_epochs=6)
    )
    trained = train(task)
    names = [one.name for one in trained.outcome.files]
    assert names[-2:] == ["pseudo-labels-summary.json", "pseudo-labels.npz"]
    report, digits = summary(task), data.load(DIGITS)
    rest = digits.rest(0.05)
    with np.load(Path(task.directory) / "pseudo-labels.npz") as labels:
        assert set(labels.files) == {"index", "y", "scores"}
        assert labels["scores"].min() >= 0.4
        true = load_digits().target[labels["index"]]
        assert report["precision"] == pytest.approx((labels["y"] == true).mean())
        assert report["recall"] == pytest.approx((labels["y"] == true).sum() / len(rest))
        assert report["kept"] == len(labels["y"]) == report["labels"]
        assert list(report["labels_by_class"].values()) == np.bincount(labels["y"], minlength=10).tolist()
    assert report["images"] == len(rest) == sum(report["scores"]["counts"])
    assert report["scores"]["edges"][:2] == [0.0, 0.05]
    assert sum(report["scores"]["counts"][8:]) == report["kept"]
    assert trained.metrics[0]["pseudo_kept"] == report["kept"] / report["images"]


def test_soft_labels_are_the_probabilities_of_the_teacher(student: Make, train: Train) -> None:
    task = student(epochs=1)
    train(task)
    with np.load(Path(task.directory) / "pseudo-labels.npz") as labels:
        shares = labels["probabilities"]
        assert np.allclose(shares.sum(1), 1.0, atol=1e-5)
        assert np.array_equal(shares.argmax(1), labels["y"])
        assert np.array_equal(shares.max(1), labels["scores"])


def test_soft_targets_are_smoothed_as_labels_are() -> None:
    labels = torch.tensor([2, 0])
    whole = torch.eye(4)[labels]
    assert torch.allclose(smoothed(whole, 4, 0.2), smoothed(labels, 4, 0.2))


def test_pseudo_labelled_images_are_passed_over_again_and_again() -> None:
    pseudo_labelled: PseudoLabelled[None] = PseudoLabelled(None, 7, alpha=1.0, seed=3)
    row = np.concatenate([pseudo_labelled.draws(epoch, 5) for epoch in range(1, 8)])
    assert sorted(row) == list(range(35))  # no draw comes again, so that no augmentation does
    assert [sorted(one) for one in (row % 7).reshape(5, 7).tolist()] == [list(range(7))] * 5
    assert (row % 7)[:7].tolist() != (row % 7)[7:14].tolist()
    assert pseudo_labelled.draws(3, 5).tolist() == row[10:15].tolist()
    assert sorted(pseudo_labelled.draws(1, 14)) == list(range(14))


def test_a_given_teacher_is_not_trained_again(student: Make, make_task: Make, train: Train) -> None:
    teacher = make_task("teacher-of-all", epochs=3)
    train(teacher)
    path = Path(teacher.directory) / MODEL
    teacher_weights = WeightsFile(str(path), trial.fingerprint(teacher))
    task = student(how=SelfTraining(teacher=teacher_weights), epochs=1)
    refused = train(task).outcome
    assert refused.state is TrialState.FAILED
    assert "or not the file that was chosen" in (refused.message or "")
    task = student(how=SelfTraining(teacher=replace(teacher_weights, sha256=sha256_of(path))), epochs=1)
    assert train(task).outcome.state is TrialState.SUCCEEDED
    assert summary(task)["teacher"] == sha256_of(path)
    assert not (Path(task.directory) / "teacher").exists()


def test_the_student_of_a_round_teaches_the_next(student: Make, train: Train) -> None:
    task = student(how=SelfTraining(rounds=2))
    measured = train(task).measurements
    assert [one.step for one in measured] == [1, 2]
    assert summary(task, "round-1")["round"] == 1
    assert summary(task)["round"] == 2
    assert summary(task)["teacher"] == sha256_of(Path(task.directory) / "round-1" / MODEL)
    assert not same(weights(task), weights(task, "round-1"))


# ---- kills -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Raised in place of a kill; no code catches it."""


def kill_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """End the process after a number of files were written."""
    written, whole = [0], files.write_atomically

    def write(path: Path, content: bytes) -> None:
        whole(path, content)
        written[0] += 1
        if written[0] == writes:
            raise Killed

    writers = ("trials.checkpoint_file", "training.checkpoint", "training.self_training.stages")
    for module in (*writers, "training.self_training.summary"):
        monkeypatch.setattr(f"workers.{module}.write_atomically", write)


def test_a_kill_after_any_file_costs_no_result(
    student: Make, train: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = {"mixup": 0.2, "dropout": 0.2, "shift": 0.125, "ema": True}
    how = SelfTraining(rounds=2)
    whole = student("whole", values, how=how, epochs=1)
    expected = train(whole).metrics
    ended = []
    for writes in range(1, 30):
        task = student(f"killed-{writes}", values, how=how, epochs=1)
        with monkeypatch.context() as patched:
            kill_after(patched, writes)
            try:
                measured = list(TASK.train(task))
            except Killed:
                ended.append(writes)
                last = Checkpoints(Path(task.directory)).load(torch.device("cpu"))
                done = len(last["measured"]) if last else 0
                measured = []
        if not measured:
            measured = list(TASK.train(replace(task, attempt=2, stored_step=done)))
            assert [dict(one.metrics) for one in measured] == expected[done:]
        assert same(weights(task), weights(whole))
        if writes not in ended:
            break
    assert len(ended) >= 12  # twice: weights, checkpoint, end, labels, summary; then weights and checkpoint


def test_a_student_closed_after_an_epoch_goes_on_and_no_stage_is_run_twice(
    student: Make, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"mixup": 0.2, "dropout": 0.2, "self_training_alpha": 3.0}
    whole, task = student("whole", values), student("closed", values)
    expected = train(whole).metrics
    run = TrialRun(task)
    first = next(run)
    run.close()
    assert not (Path(task.directory) / "teacher" / "last.pt").exists()
    monkeypatch.setattr(ClassLabeller, "label", lambda *_: pytest.fail("labelled again"))
    [second] = train(replace(task, attempt=2, stored_step=1)).measurements
    assert [dict(first.metrics), dict(second.metrics)] == expected
    assert same(weights(task), weights(whole))
    assert second.seconds > first.seconds


def test_the_seconds_of_the_teacher_and_of_labelling_count(student: Make) -> None:
    ticks = iter(range(10_000))
    task = student(epochs=1)
    [measured] = train_task(task, clock=lambda: float(next(ticks)))
    complete = json.loads((Path(task.directory) / "teacher" / "complete.json").read_bytes())
    assert measured.seconds > complete["seconds"] + summary(task)["seconds"] > complete["seconds"] > 0


def test_the_limit_of_a_trial_is_one_of_teacher_and_student(student: Make, train: Train) -> None:
    outcome = train(student(trial_seconds=0.0)).outcome
    assert (outcome.state, outcome.failure) == (TrialState.FAILED, FailureKind.TIMED_OUT)


def test_damaged_labels_are_made_again(student: Make, train: Train) -> None:
    task = student()
    expected = train(task).metrics
    (Path(task.directory) / "pseudo-labels.npz").write_bytes(b"nothing")
    assert train(replace(task, attempt=2)).metrics == expected


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_a_threshold_that_keeps_nothing_is_named(student: Make, train: Train) -> None:
    outcome = train(student(values={"pseudo_threshold": 1.0, "lr": 0.001}, epochs=1)).outcome
    assert outcome.state is TrialState.FAILED
    assert (outcome.message or "").startswith(
        "pseudo_threshold 1 keeps none of 1091 images: the teacher's best score is"
    )


def test_a_teacher_of_other_classes_is_refused(student: Make, make_task: Make, train: Train, tmp_path: Path) -> None:
    images, labels = data.load(DIGITS).train.images[:200, 0], data.load(DIGITS).train.labels[:200]
    np.savez(tmp_path / "two.npz", x_train=images, y_train=labels % 2)
    section = {"name": "parity", "format": "npz", "path": str(tmp_path / "two.npz")}
    teacher = make_task("other", dataset=section, data_fraction=1.0, epochs=1)
    train(teacher)
    path = Path(teacher.directory) / MODEL
    how = SelfTraining(teacher=WeightsFile(str(path), sha256_of(path)))
    said = r"/teacher: the teacher has 2 classes \(0, 1\), the dataset 10 \(0, 1, 2, 3, 4, ...\)"
    with pytest.raises(InvalidInput, match=said):
        TASK.check_self_training(how, DIGITS, 0.5)
    outcome = train(student(how=how)).outcome
    assert outcome.state is TrialState.FAILED
    assert "/self_training/teacher: the teacher has 2 classes" in (outcome.message or "")


def test_a_teacher_of_other_images_is_refused(make_task: Make, train: Train, tmp_path: Path) -> None:
    digits = load_digits()
    np.savez(tmp_path / "narrow.npz", x_train=digits.images[:200, :, :6].astype(np.uint8), y_train=digits.target[:200])
    section = {"name": "narrow", "format": "npz", "path": str(tmp_path / "narrow.npz")}
    teacher = make_task("other", dataset=section, data_fraction=1.0, epochs=1)
    assert train(teacher).outcome.state is TrialState.SUCCEEDED
    path = Path(teacher.directory) / MODEL
    said = r"/teacher: the teacher takes images of \(1, 8, 6\) as .*, the dataset has \(1, 8, 8\)"
    with pytest.raises(InvalidInput, match=said):
        TASK.check_self_training(SelfTraining(teacher=WeightsFile(str(path), sha256_of(path))), DIGITS, 0.5)


def test_nothing_is_left_beside_the_whole(student: Make) -> None:
    with pytest.raises(InvalidInput, match="/unlabelled: no training image is left outside a data fraction of 1"):
        TASK.check_self_training(SelfTraining(), DIGITS, 1.0)


# ---- images without labels -------------------------------------------------------------------------------------------


def picture_folder(folder: Path, images: np.ndarray[Any, Any]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return {"name": "unlabelled", "format": "images", "path": str(folder)}


@pytest.fixture(scope="module")
def noise() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 17, (30, 8, 8)).astype(np.uint8)


def test_a_folder_without_labels_gives_a_csv(
    student: Make, train: Train, tmp_path: Path, noise: np.ndarray[Any, Any]
) -> None:
    how = SelfTraining(picture_folder(tmp_path / "images", noise))
    task = student(how=how)
    trained = train(task)
    assert trained.outcome.state is TrialState.SUCCEEDED, trained.outcome.message
    with (Path(task.directory) / "pseudo-labels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["image"] for row in rows] == [f"{number:03d}.png" for number in range(30)]
    assert list(rows[0]) == ["image", "label", "score", *(f"p({digit})" for digit in range(10))]
    assert float(rows[3][f"p({rows[3]['label']})"]) == float(rows[3]["score"])
    assert summary(task)["precision"] is None
    assert "pseudo_precision" not in trained.metrics[0]
    taught = ClassLabeller(data.load(DIGITS), torch.device("cpu"), complete(task.values)).read(
        task, Path(task.directory) / "pseudo-labels.csv"
    )
    assert np.array_equal(taught.images[:, 0], noise)
    assert taught.targets.dtype == np.float32
    assert taught.targets.shape == (30, 10)


@pytest.mark.parametrize("memory_bytes", [0, 2**20], ids=["in files", "in memory"])
def test_the_rest_of_a_folder_of_classes_gives_a_csv_with_its_paths(
    student: Make, train: Train, tmp_path: Path, noise: np.ndarray[Any, Any], memory_bytes: int
) -> None:
    for label, images in (("a", noise[:15]), ("b", noise[15:])):
        picture_folder(tmp_path / "images" / label, images)
    section = {"name": "files", "format": "imagefolder", "path": str(tmp_path / "images"), "size": 8, "color": False}
    task = student(dataset={**section, "memory_bytes": memory_bytes}, data_fraction=0.5, epochs=1)
    outcome = train(task).outcome
    assert outcome.state is TrialState.SUCCEEDED, outcome.message
    with (Path(task.directory) / "pseudo-labels.csv").open(newline="") as lines:
        names = [row["image"] for row in csv.DictReader(lines)]
    loaded = unlabelled.load(None, task.dataset, 0.5)
    assert len(names) == len(loaded) > 0
    shown = np.stack([np.asarray(Image.open(tmp_path / "images" / name)) for name in names])
    images = loaded.images[np.arange(len(loaded))]
    assert np.array_equal(images[:, 0], shown)


def test_files_that_do_not_fit_into_memory_give_the_same_student(
    student: Make, train: Train, tmp_path: Path, noise: np.ndarray[Any, Any]
) -> None:
    section = picture_folder(tmp_path / "images", noise)
    values = {"pseudo_labels": "hard"}
    in_memory = train(student("kept", values, how=SelfTraining(section), epochs=1)).metrics
    streamed = student("streamed", values, how=SelfTraining({**section, "memory_bytes": 0}), epochs=1)
    assert train(streamed).metrics == in_memory


def test_images_that_are_measured_on_are_refused(tmp_path: Path, noise: np.ndarray[Any, Any]) -> None:
    digits = data.load(DIGITS)
    stolen = np.concatenate([noise[:2], digits.validation.images[4:5, 0], digits.test.images[7:8, 0]])
    section = picture_folder(tmp_path / "images", stolen)
    said = r"/unlabelled: 2 image\(s\) .* leak: 002.png \(in validation\), 003.png \(in test\); remove them"
    with pytest.raises(InvalidInput, match=said):
        TASK.check_self_training(SelfTraining(section), DIGITS, 1.0)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    section = picture_folder(tmp_path / "images", np.zeros((0, 8, 8), np.uint8))
    with pytest.raises(InvalidInput, match=r"/unlabelled/path: .*images holds no image"):
        TASK.check_self_training(SelfTraining(section), DIGITS, 1.0)


def test_an_npz_may_have_labels_or_none(tmp_path: Path, noise: np.ndarray[Any, Any]) -> None:
    section = {"name": "more", "format": "npz", "path": str(tmp_path / "more.npz")}
    np.savez(tmp_path / "more.npz", x_train=noise)
    loaded = unlabelled.load(section, DIGITS, 1.0)
    assert np.array_equal(loaded.images[:, 0], noise)
    assert loaded.truth is None
    np.savez(tmp_path / "more.npz", x_train=noise, y_train=np.arange(30) % 3 * 6)  # 0, 6 and 12
    loaded = unlabelled.load(section, DIGITS, 1.0)
    assert loaded.truth is not None
    assert loaded.truth[:3].tolist() == [0, 6, -1]
    np.savez(tmp_path / "more.npz", x_train=np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(InvalidInput, match=r"its images are \(1, 9, 9\).*those of the dataset \(1, 8, 8\)"):
        unlabelled.load(section, DIGITS, 1.0)


def test_the_rest_is_what_no_fraction_took(make_task: Make) -> None:
    digits = data.load(DIGITS)
    small, large = set(digits.rest(0.05).tolist()), set(digits.rest(0.5).tolist())
    assert large < small
    assert len(small) + len(digits.subset(0.05)) == len(digits.train)
    loaded = unlabelled.load(None, DIGITS, 0.5)
    assert np.array_equal(load_digits().images[loaded.places].astype(np.uint8), loaded.images[:, 0])

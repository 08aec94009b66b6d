"""Trials of detection: reproducible to the bit, their measurements, their files, and their failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from searchsvc.domain import Decision, FailureKind, Objective, TrialState, TrialTask
from searchsvc.errors import InvalidInput, TrialFailed
from searchsvc.spaces import networks
from searchsvc.spaces.networks import complete
from tests.support.box_files import WRITERS
from tests.support.detection import SIDE, SMALLEST, a_task, pets
from workers.data import detection as data
from workers.models import build
from workers.models import load as load_classifier
from workers.models.stages import parts_of
from workers.models.trained_detector import load
from workers.tasks.detection import TASK
from workers.training.detection.batches import SceneBatches
from workers.training.detection.run import detect
from workers.training.detection.run import train as train_task
from workers.training.detection.trainer import untrained
from workers.training.precision import Precision
from workers.trials.run_trial import TrialRun, run_trial

CPU = torch.device("cpu")

RECIPES = [
    {"sample_weighting": "swn", "ema": True, "ema_decay": 0.9, "augmentation": "S4", "flip": True, "color": 0.3},
    {"optimizer": "sgd", "lr": 0.01, "class_loss": "focal", "boxes": "dirac", "frozen_stages": 1, "lr_decay": 0.9},
]
NAMES = ["swn", "focal"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return pets(tmp_path_factory.mktemp("pets"))


@pytest.fixture(scope="module")
def learned(dataset: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    """The model of a trial that was shown its images often, and the measurements of each epoch."""
    folder = tmp_path_factory.mktemp("learned")
    values = {"augmentation": "none", "lr": 0.01, "lr_decay": 1.0}
    measured = metrics_of(TrialRun(a_task(dataset, folder, values, epochs=16, objective=Objective(metric="ar100"))))
    return folder / "model.safetensors", measured


def weights(task: TrialTask) -> dict[str, torch.Tensor]:
    return load_file(Path(task.directory) / "model.safetensors")


def metrics_of(run: TrialRun) -> list[dict[str, float]]:
    return [dict(one.metrics) for one in run]


@pytest.mark.parametrize("values", RECIPES, ids=NAMES)
def test_a_trial_closed_after_an_epoch_goes_on_to_the_same_bits(
    dataset: dict[str, Any], tmp_path: Path, values: dict[str, Any]
) -> None:
    whole = a_task(dataset, tmp_path / "whole", values, epochs=2)
    expected = metrics_of(TrialRun(whole))
    task = a_task(dataset, tmp_path / "closed", values, epochs=2)
    run = TrialRun(task)
    before = dict(next(run).metrics)
    run.close()
    assert run.outcome().state is TrialState.CANCELLED
    assert [before, *metrics_of(TrialRun(replace(task, attempt=2, stored_step=1)))] == expected
    first, second = weights(whole), weights(task)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_trials_on_the_same_scenes_are_the_same_in_every_format(tmp_path: Path) -> None:
    trained = {}
    for name, write in WRITERS.items():
        write(tmp_path / name)
        section = {"name": "pets", "format": name, "path": str(tmp_path / name), "size": SIDE}
        task = a_task(section, tmp_path / f"trial-{name}")
        assert run_trial(task, lambda _: Decision.CONTINUE).state is TrialState.SUCCEEDED
        trained[name] = weights(task)
    for other in trained.values():
        assert all(torch.equal(trained["yolo"][key], other[key]) for key in other)


def test_a_trial_measures_precision_and_every_term_of_its_loss(dataset: dict[str, Any], tmp_path: Path) -> None:
    [measured] = metrics_of(TrialRun(a_task(dataset, tmp_path / "trial")))
    assert {"ap", "ap50", "ap75", "ap_small", "ar100", "ap/cat"} <= measured.keys()
    assert "ap_large" not in measured  # no object is that large
    terms = {name: value for name, value in measured.items() if name.startswith("train_loss/")}
    assert terms.keys() == {f"train_loss/{name}" for name in ("classification", "boxes", "distribution")}
    assert measured["train_loss"] == pytest.approx(sum(terms.values()), rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_detector_that_is_compiled_for_a_gpu_learns_as_one_that_is_not(
    dataset: dict[str, Any], tmp_path: Path
) -> None:
    tasks = [a_task(dataset, tmp_path / str(one), device="cuda", compile=one) for one in (False, True)]
    plain, compiled = (metrics_of(TrialRun(one))[0]["train_loss"] for one in tasks)
    assert compiled == pytest.approx(plain, rel=0.05)


def test_latency_is_measured_where_the_job_asks_for_it(dataset: dict[str, Any], tmp_path: Path) -> None:
    task = a_task(dataset, tmp_path / "trial", required_metrics=frozenset(("ap", "latency_ms")))
    [measured] = metrics_of(TrialRun(task))
    assert 0.0 < measured["latency_ms"] < 5_000.0


def test_the_best_epoch_leaves_weights_with_a_card_and_drawn_images(dataset: dict[str, Any], tmp_path: Path) -> None:
    task = a_task(dataset, tmp_path / "trial")
    run = TrialRun(task)
    [measurement] = run
    split = data.load(dataset).validation
    names = [one.name for one in run.outcome().files]
    assert names == ["model.safetensors", *(f"boxes-{number}.png" for number in range(min(4, len(split))))]
    with Image.open(tmp_path / "trial" / "boxes-0.png") as picture:
        height, width = split.size_of(0)
        assert picture.width / picture.height == pytest.approx(width / height)
    card = load(tmp_path / "trial" / "model.safetensors").card
    assert (card.format, card.task, card.step, card.classes) == ("searchsvc-detector/1", "detection", 1, ("cat", "dog"))
    assert card.metrics == measurement.metrics
    assert TASK.test(task)["ap"] >= 0.0


def test_sample_weighting_is_no_part_of_what_is_kept(dataset: dict[str, Any], tmp_path: Path) -> None:
    task = a_task(dataset, tmp_path / "trial", {"sample_weighting": "swn"})
    [measured] = metrics_of(TrialRun(task))
    assert "train_loss/regularizer" in measured
    plain = build(complete({**SMALLEST, "sample_weighting": "none"}), (3, SIDE, SIDE), 2)
    network = load(tmp_path / "trial" / "model.safetensors").network
    assert {name: one.shape for name, one in weights(task).items()} == {
        name: one.shape for name, one in plain.state_dict().items()
    }
    assert str(network) == str(plain)


def test_frozen_stages_keep_their_first_weights(dataset: dict[str, Any], tmp_path: Path) -> None:
    task = a_task(dataset, tmp_path / "trial", {"frozen_stages": 2})
    assert next(TrialRun(task)).metrics
    values = networks.complete(task.values, "detection")
    made = untrained(values, data.load(dataset), task.seed)
    first, last = made.state_dict(), weights(task)
    moved = {name for name in first if not torch.equal(first[name], last[name])}
    still = [id(one) for part in parts_of(made)[:3] for module in part for one in module.parameters()]
    frozen = {name for name, one in made.named_parameters() if id(one) in still}
    assert frozen
    assert not frozen & moved
    assert any(name.startswith("head.") for name in moved)


def test_a_loss_that_is_no_number_ends_the_trial_as_diverged(dataset: dict[str, Any], tmp_path: Path) -> None:
    values = {"optimizer": "sgd", "lr": 100.0, "sgd_lr_scale": 1e4, "momentum": 0.99}
    with pytest.raises(TrialFailed) as caught:
        list(train_task(a_task(dataset, tmp_path / "trial", values, epochs=8)))
    assert caught.value.kind is FailureKind.DIVERGED


def test_a_trial_over_its_time_ends(dataset: dict[str, Any], tmp_path: Path) -> None:
    seconds = iter(range(0, 10_000, 10))
    task = a_task(dataset, tmp_path / "trial", trial_seconds=25.0, epochs=4)
    with pytest.raises(TrialFailed) as caught:
        list(train_task(task, clock=lambda: float(next(seconds))))
    assert caught.value.kind is FailureKind.TIMED_OUT


def test_a_resolution_that_no_detector_takes_is_refused(dataset: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="65 px or more"):
        next(train_task(a_task(dataset, tmp_path / "trial", {"resolution": 32})))


def test_a_detector_learns_the_images_that_it_is_shown(learned: tuple[Path, list[dict[str, float]]]) -> None:
    losses = [one["train_loss"] for one in learned[1]]
    assert losses[-1] < 0.85 * losses[0]


def test_a_detector_is_no_classifier(learned: tuple[Path, list[dict[str, float]]]) -> None:
    with pytest.raises(InvalidInput, match="searchsvc-detector/1, not of searchsvc-classifier/1"):
        load_classifier(learned[0])


def test_an_image_in_a_file_is_seen_as_one_of_the_dataset(
    dataset: dict[str, Any], learned: tuple[Path, list[dict[str, float]]], tmp_path: Path
) -> None:
    image, drawn = Path(dataset["path"]) / "images" / "0.png", tmp_path / "drawn.png"
    [prediction] = TASK.predict(learned[0], [image], [drawn])
    detector, scenes = load(learned[0]), data.load(dataset)
    split = next(one for one in (scenes.train, scenes.validation, scenes.test) if "0.png" in one.names)
    batches = SceneBatches.of(split, scenes, side=SIDE, device=CPU, processes=0)
    detections = detect(batches, detector.network, detector.inputs, Precision.of(CPU))[split.names.index("0.png")]
    assert len(prediction.findings) == len(detections.scores) > 0
    np.testing.assert_allclose([one.score for one in prediction.findings], detections.scores, atol=1e-5)
    np.testing.assert_allclose([one.box for one in prediction.findings], detections.boxes.xyxy, atol=1e-3)
    with Image.open(image) as original, Image.open(drawn) as picture:
        assert picture.size == original.size
    assert prediction.picture == drawn


def test_an_image_that_cannot_be_decoded_is_named(learned: tuple[Path, list[dict[str, float]]], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(InvalidInput, match=r"text\.png cannot be decoded"):
        list(TASK.predict(learned[0], [tmp_path / "text.png"], [tmp_path / "x.png"]))

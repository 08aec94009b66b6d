"""Images on the device and images in files: the same batches, the same training, the same errors."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from searchsvc.domain import TrialState, TrialTask
from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.data.imagefiles import ImageFiles
from workers.models import load
from workers.models.inputs import Inputs
from workers.training.classification.splits import ResidentSplit, StreamedSplit, on_device
from workers.trials.run_trial import TrialRun

CPU = torch.device("cpu")
VALUES = {"batch_size": 8, "flip": True, "shift": 0.1, "randaugment": 5.0, "dropout": 0.1, "mixup": 0.2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write 48 photographs of two colours, of 20x30 px, and return their folder."""
    random = np.random.default_rng(0)
    for name, color in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(24):
            pixels = np.clip(np.array(color) + random.normal(0, 60, (20, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


def section(folder: Path, **options: Any) -> dict[str, Any]:
    return {"name": "colours", "format": "imagefolder", "path": str(folder), "size": 16, **options}


def in_files(folder: Path) -> dict[str, Any]:
    return section(folder, memory_bytes=0)


def test_a_folder_beyond_its_memory_stays_in_its_files(folder: Path) -> None:
    dataset = data.load(in_files(folder))
    assert isinstance(dataset.train.images, ImageFiles)
    assert data.load(section(folder)).info == dataset.info


def test_a_folder_within_its_memory_is_decoded_once(folder: Path) -> None:
    needed = 48 * 3 * 16 * 16
    assert isinstance(data.load(section(folder, memory_bytes=needed)).train.images, np.ndarray)
    assert isinstance(data.load(section(folder, memory_bytes=needed - 1)).train.images, ImageFiles)


def test_statistics_do_not_depend_on_where_the_images_are(folder: Path) -> None:
    in_memory, from_files = data.load(section(folder)), data.load(in_files(folder))
    assert (in_memory.mean, in_memory.std) == (from_files.mean, from_files.std)


def test_both_kinds_of_splits_give_the_same_batches(folder: Path) -> None:
    resident = on_device(data.load(section(folder)).train, CPU, 1)
    streamed = on_device(data.load(in_files(folder)).train, CPU, 2)
    assert isinstance(resident, ResidentSplit)
    assert isinstance(streamed, StreamedSplit)
    order = np.random.default_rng(0).permutation(len(resident))
    pairs = list(zip(resident.batches(order, 4), streamed.batches(order, 4), strict=True))
    assert [len(labels) for (_, labels), _ in pairs] == [8, 8, 7, 7]
    for (images, labels), (decoded, other) in pairs:
        assert torch.equal(images, decoded)
        assert torch.equal(labels, other)
        assert decoded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("taken", [1, 4])
def test_no_process_outlives_the_batches_that_it_decodes(folder: Path, taken: int) -> None:
    split = on_device(data.load(in_files(folder)).train, CPU, 2)
    others = set(multiprocessing.active_children())
    batches = split.batches(np.arange(len(split)), 4)
    assert len(next(batches)[1]) == 8
    assert len(set(multiprocessing.active_children()) - others) == 2
    for _ in range(taken - 1):
        next(batches)
    batches.close()
    assert set(multiprocessing.active_children()) <= others


def test_training_from_files_gives_the_same_bits_and_resumes_to_them(
    folder: Path, make_task: Callable[..., TrialTask], train: Any
) -> None:
    whole = train(make_task("resident", VALUES, dataset=section(folder), data_fraction=1.0))
    task = make_task("streamed", VALUES, dataset=in_files(folder), data_fraction=1.0)
    run = TrialRun(task)
    first = dict(next(run).metrics)
    run.close()
    rest = train(replace(task, attempt=2, stored_step=1))
    assert rest.outcome.state is TrialState.SUCCEEDED
    assert [first, *rest.metrics] == whole.metrics


def test_a_model_trained_from_files_is_tested_from_files(
    folder: Path, make_task: Callable[..., TrialTask], train: Any
) -> None:
    from workers.training.classification.run import test as test_task

    task = make_task(dataset=in_files(folder), data_fraction=1.0, epochs=5, values={"batch_size": 8})
    train(task)
    assert test_task(task) == pytest.approx(test_task(replace(task, dataset=section(folder))))
    assert test_task(task)["accuracy"] == 1.0


def test_a_file_that_is_no_image_is_named_before_anything_trains(folder: Path) -> None:
    (folder / "red" / "3.png").write_text("no image")
    with pytest.raises(InvalidInput, match=r"red/3\.png cannot be decoded"):
        data.load(in_files(folder))


def test_an_image_that_is_cut_off_is_named_when_it_is_reached(folder: Path) -> None:
    files = sorted(folder.rglob("*.png"))
    dataset = data.load(in_files(folder))
    for file in files:
        file.write_bytes(file.read_bytes()[:-200])
    split = on_device(dataset.train, CPU, 1)
    with pytest.raises(InvalidInput, match=r"\.png cannot be decoded"):
        next(split.batches(np.arange(len(split)), 1))


# ---- resolution ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [12, 24])
def test_a_network_of_another_resolution_measures_and_predicts_the_same(
    side: int, make_task: Callable[..., TrialTask], train: Any
) -> None:
    task = make_task(values={"resolution": side}, epochs=4, data_fraction=1.0)
    measured = train(task).metrics[-1]
    model = load(Path(task.directory) / "model.safetensors")
    validation = data.load(task.dataset).validation
    assert isinstance(validation.images, np.ndarray)
    right = [int(name) for name in model.predict(validation.images[:, 0])] == validation.labels
    assert model.card.values["resolution"] == side
    assert model.inputs(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape == (2, 1, side, side)
    assert measured["accuracy"] == pytest.approx(np.mean(right), abs=0.005)
    assert measured["accuracy"] > 0.5


def test_images_are_resized_as_torchvision_does_with_antialiasing() -> None:
    from torchvision.transforms.v2 import functional as reference

    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 31, 20), dtype=np.uint8))
    inputs = Inputs.of((100.0, 110.0, 120.0), (50.0, 60.0, 70.0), (3, 31, 20), (3, 16, 16))
    resized = reference.resize(images.float(), [16, 16], antialias=True)
    mean, std = torch.tensor([[100.0, 110, 120], [50, 60, 70]]).view(2, 1, 3, 1, 1)
    torch.testing.assert_close(inputs(images), (resized - mean) / std, rtol=1e-5, atol=1e-5)


def test_images_of_the_right_size_are_only_normalised() -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 1, 9, 7), dtype=np.uint8))
    expected = (images.float() - 33.0) / 78.5
    inputs = Inputs.of((33.0,), (78.5,), (1, 9, 7), (1, 9, 7))
    torch.testing.assert_close(inputs(images), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("stored", "seen", "images"),
    [((1, 8, 8), (1, 8, 8), 1024), ((3, 512, 512), (3, 32, 32), 16), ((3, 32, 32), (3, 248, 248), 68)],
)
def test_large_images_are_measured_in_smaller_batches(stored: Any, seen: Any, images: int) -> None:
    assert Inputs.of((0.0,) * stored[0], (1.0,) * stored[0], stored, seen).batch == images

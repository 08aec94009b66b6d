"""A trained model as a file: its use in three lines, and the errors of faulty files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.models import load


@pytest.fixture
def model_file(make_task: Any, train: Any) -> Path:
    """A model trained on digits for a few epochs."""
    task = make_task(epochs=6, data_fraction=1.0)
    train(task)
    return Path(task.directory) / "model.safetensors"


def rewritten(file: Path, **changes: Any) -> Path:
    """Write a copy of the weights with changed metadata; a change of None removes the key."""
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        card = {**json.loads(opened.metadata()["searchsvc"]), **changes}
    fields = {name: value for name, value in card.items() if value is not None}
    save_file(load_file(file), file, {"searchsvc": json.dumps(fields)})
    return file


def test_a_loaded_model_names_the_classes_of_images(model_file: Path) -> None:
    model = load(model_file)
    test = data.load({"name": "digits"}).test
    names = model.predict(test.images[:, 0])
    assert np.mean([int(name) == label for name, label in zip(names, test.labels, strict=True)]) > 0.85
    probabilities = model.probabilities(test.images[:, 0, :, :, None])
    assert probabilities.shape == (len(test), 10)
    assert probabilities.sum(1) == pytest.approx(np.ones(len(test)), abs=1e-5)
    assert model.card.classes == tuple("0123456789")


def test_no_images_have_no_classes(model_file: Path) -> None:
    assert load(model_file).predict(np.zeros((0, 8, 8), np.uint8)) == []


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8)), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)],
    ids=["float", "channels", "single"],
)
def test_images_of_another_kind_are_refused(model_file: Path, images: Any) -> None:
    model = load(model_file)
    with pytest.raises(InvalidInput, match=r"uint8 images \(n, h, w\)"):
        model.predict(images)


def test_images_of_another_size_are_resized(model_file: Path) -> None:
    model = load(model_file)
    images = data.load({"name": "digits"}).test.images[:, 0]
    doubled = images.repeat(2, axis=1).repeat(2, axis=2)
    same = [name == other for name, other in zip(model.predict(doubled), model.predict(images), strict=True)]
    assert np.mean(same) > 0.85


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no safetensors"])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InvalidInput, match="safetensors"):
        load(tmp_path / "x")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(tmp_path / "none")


def test_weights_without_metadata_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "x")
    with pytest.raises(InvalidInput, match="metadata"):
        load(tmp_path / "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other/9"}, "metadata"),
        ({"classes": None}, "metadata"),
        ({"values": {"width_3": 10**9}}, "width_3"),
        ({"values": {"width_3": 48}}, "do not fit"),
        ({"classes": ["a", "b"]}, "do not fit"),
        ({"shape": [1, 10**6, 10**6]}, "metadata"),
        ({"mean": [1.0, 2.0]}, "metadata"),
        ({"std": [0.0]}, "metadata"),
    ],
    ids=str,
)
def test_metadata_that_does_not_fit_is_refused(model_file: Path, changes: Any, message: str) -> None:
    file = rewritten(model_file, **changes)
    with pytest.raises(InvalidInput, match=message):
        load(file)


def test_looking_a_task_up_imports_nothing_that_trains() -> None:
    code = (
        "import sys, workers.tasks.classification\n"
        "print(*({'torch', 'timm', 'sklearn', 'PIL', 'ray', 'scipy', 'optuna', 'sqlalchemy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True).stdout
    assert printed.split() == []

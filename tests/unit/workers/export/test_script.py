"""Scripts of trained networks: the same network, the same training, and nothing of this project."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from searchsvc.domain import TrialTask
from searchsvc.spaces import networks
from tests.support.classifiers import FAMILIES, made, task_of
from workers.data import classification as data
from workers.export import EXPORTERS
from workers.export.networks import WRITINGS
from workers.export.script import write
from workers.models import load
from workers.models.trained import serialise
from workers.tasks.classification import TASK
from workers.trials.files import MODEL

WHOLE_RECIPE = {
    "optimizer": "rmsprop",
    "lr": 0.02,
    "clip_norm": 2.0,
    "weight_decay": 1e-3,
    "warmup_epochs": 0.5,
    "lr_decay": 0.9,
    "resolution": 12,
    "mixup": 0.3,
    "label_smoothing": 0.1,
    "dropout": 0.2,
    "drop_path": 0.2,
    "ema": True,
    "shift": 0.1,
    "flip": True,
    "randaugment": 3.0,
}
ALLOWED = {"torch", "timm", "numpy", "PIL", "safetensors"}
"""Packages that torch and timm depend on."""


def imported(script: Path) -> ModuleType:
    """Import the script as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 digits in a .npz file."""
    from sklearn.datasets import load_digits

    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    loaded = load_digits()
    np.savez(path, x_train=loaded.images[:600].astype(np.uint8), y_train=loaded.target[:600])
    return path


@pytest.fixture
def trained(make_task: Callable[..., TrialTask], train: Any, digits: Path) -> Callable[..., tuple[TrialTask, Any]]:
    """Trains a trial on the digits in the file, and writes its script."""

    def run(values: dict[str, Any]) -> tuple[TrialTask, Any, Path]:
        section = {"name": "files", "format": "npz", "path": str(digits)}
        task = replace(make_task(dataset=section, epochs=1, data_fraction=1.0), values=values)
        measured = train(task).metrics
        script = Path(task.directory) / "script.py"
        write(load(Path(task.directory) / MODEL), task, script)
        return task, measured, script

    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_a_script_trains_the_same_weights_as_the_trial(trained: Any, digits: Path, family: str) -> None:
    task, [metrics], path = trained({**FAMILIES[family], **WHOLE_RECIPE})
    script = imported(path)
    parts = script.read(digits)
    run = script.TrainingRun(torch.device("cpu"), None)
    [(loss, network)] = run.train(parts["train"].to(torch.device("cpu")), script.EPOCHS)
    assert loss == pytest.approx(metrics["train_loss"])
    assert run.accuracy(network, parts["validation"]) == pytest.approx(metrics["accuracy"])
    expected = load_file(Path(task.directory) / MODEL)
    torch.testing.assert_close(network.state_dict(), expected, rtol=0, atol=0)
    assert metrics.keys() == script.MEASURED.keys()


@pytest.mark.parametrize("memory", [2**31, 0], ids=["in memory", "in files"])
@pytest.mark.parametrize("color", [False, True], ids=["grey", "colour"])
def test_u33_a_script_trains_the_same_weights_on_an_imagefolder(
    make_task: Callable[..., TrialTask], train: Any, tmp_path: Path, color: bool, memory: int
) -> None:
    """Dropout and RandAugment show a random number drawn too many, and another idea of the brightest value."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    for number, (image, label) in enumerate(zip(loaded.images[:200], loaded.target[:200], strict=True)):
        (tmp_path / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8) * 7).save(tmp_path / "images" / str(label) / f"{number}.png")
    section = {"name": "files", "format": "imagefolder", "path": str(tmp_path / "images"), "size": 16, "color": color}
    section["memory_bytes"] = memory
    task = replace(make_task(dataset=section, epochs=2, data_fraction=1.0), values=WHOLE_RECIPE)
    measured, classifier = train(task).metrics, load(Path(task.directory) / MODEL)
    write(classifier, task, tmp_path / "script.py")
    script = imported(tmp_path / "script.py")
    script.DECODERS = 0 if memory == 0 else 2
    parts = script.read(tmp_path / "images")
    run = script.TrainingRun(torch.device("cpu"), None)
    epochs = run.train(parts["train"].to(torch.device("cpu")), script.EPOCHS)
    weights = []
    for metrics, (loss, network) in zip(measured, epochs, strict=True):
        assert loss == metrics["train_loss"]
        assert run.accuracy(network, parts["validation"]) == metrics["accuracy"]
        weights.append(script.weights_of(network))
    expected = load_file(Path(task.directory) / MODEL)  # of the best epoch
    torch.testing.assert_close(weights[classifier.card.step - 1], expected, rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_exported_weights_give_the_same_logits_in_the_script(tmp_path: Path, family: str) -> None:
    classifier = made(FAMILIES[family], (3, 12, 12))
    weights = tmp_path / MODEL
    weights.write_bytes(serialise(classifier.network, classifier.card))
    write(classifier, task_of(classifier), tmp_path / "script.py")
    script = imported(tmp_path / "script.py")
    run = script.TrainingRun(torch.device("cpu"), weights)
    images = torch.randint(0, 256, (5, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    logits = run.network.eval()(run.inputs(images))
    assert (logits - classifier.logits(images)).abs().max() < 1e-5
    assert classifier.card.classes == script.CLASSES
    assert (script.EPOCHS, script.SEED) == (2, 3)


def test_the_task_writes_what_it_offers(trained: Any, tmp_path: Path) -> None:
    task, _, script = trained({"depth_2": 1, "depth_3": 1})
    assert TASK.exports.keys() == EXPORTERS["classification"].writers.keys()
    TASK.export("script", task, tmp_path / "script.py")
    assert (tmp_path / "script.py").read_text() == script.read_text()


def test_a_script_runs_on_its_own_and_goes_on_from_exported_weights(trained: Any, digits: Path, tmp_path: Path) -> None:
    task, [metrics], script = trained({**FAMILIES["fbnetv3-small"], "batch_size": 32})
    blocked = "import runpy, sys; sys.modules.update(dict.fromkeys(('searchsvc', 'workers', 'pydantic', 'sklearn')));"
    run_it = f"{blocked} sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    weights = Path(task.directory) / MODEL
    command = [sys.executable, "-I", "-c", run_it, script, digits, "--weights", weights, "--epochs", "1"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    first, epoch, tested = result.stdout.splitlines()
    assert float(first.split()[-1]) == pytest.approx(metrics["accuracy"], abs=1e-5)
    assert epoch.startswith("epoch 1/1: training loss ")
    assert 0 < float(tested.split()[-1]) <= 1
    assert load_file(tmp_path / "trained.safetensors").keys() == load_file(weights).keys()


def test_a_script_imports_only_what_torch_and_timm_bring(tmp_path: Path) -> None:
    assert WRITINGS.keys() == {one.name for one in networks.NETWORKS.values() if one.task == "classification"}
    small = made(FAMILIES["mbconv"], (3, 32, 32))
    for name in WRITINGS:
        classifier = replace(small, card=small.card.model_copy(update={"values": {"network": name}}))
        write(classifier, task_of(classifier), tmp_path / "script.py")
        text = (tmp_path / "script.py").read_text()
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = {getattr(one, "module", None) or one.names[0].name for one in imports}
        assert {one.split(".")[0] for one in modules} - sys.stdlib_module_names <= ALLOWED
        assert not {"searchsvc", "workers"} & set(text.replace(".", " ").split())
        assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "parts", [(".",), ("train", "test"), ("Train", "valid"), ("train", "val", "test")], ids="-".join
)
def test_a_folder_is_read_and_split_as_the_search_does(tmp_path: Path, parts: tuple[str, ...]) -> None:
    random = np.random.default_rng(0)
    for part in parts:
        for name in ("a", "b", "c"):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for index in range(8):
                Image.fromarray(random.integers(0, 256, (10, 14, 3), np.uint8)).save(folder / f"{index}.png")
    section = {"name": "files", "format": "imagefolder", "path": str(tmp_path / "images"), "size": 12, "split_seed": 5}
    dataset = data.load(section)
    classifier = made({}, (3, 12, 12))
    card = classifier.card.model_copy(update={"classes": dataset.classes})
    write(replace(classifier, card=card), replace(task_of(classifier), dataset=section), tmp_path / "script.py")
    script = imported(tmp_path / "script.py")
    script.DECODERS = 0
    for name, part in script.read(tmp_path / "images").items():
        expected = getattr(dataset, name)
        [(images, labels)] = part.batches(np.arange(len(part)), 1)
        np.testing.assert_array_equal(images.numpy(), expected.images[np.arange(len(expected))])
        np.testing.assert_array_equal(labels.numpy(), expected.labels)

"""Networks as ONNX files: onnxruntime gives the logits that torch gives."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput, RuntimeUnavailable
from tests.support.classifiers import FAMILIES, made, task_of
from workers.export.onnx import FORMAT, OPSET, write
from workers.models import Classifier

SHAPE = (3, 12, 12)


@dataclass
class Exported:
    """A network in torch and in onnxruntime."""

    classifier: Classifier
    path: Path

    def __post_init__(self) -> None:
        self.session = onnxruntime.InferenceSession(self.path)

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits (n, K) of images (n, c, h, w)."""
        [logits] = self.session.run(None, {"images": images.astype(np.float32)})
        return logits


@pytest.fixture(scope="module", params=FAMILIES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    classifier = made(FAMILIES[request.param], SHAPE)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write(classifier, task_of(classifier), path)
    return Exported(classifier, path)


@pytest.mark.parametrize("count", [1, 7])
def test_onnxruntime_gives_the_same_logits_for_any_number_of_images(exported: Exported, count: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    expected = exported.classifier.logits(torch.from_numpy(images)).numpy()
    assert np.ptp(expected, 1).min() > 0.05
    assert np.abs(exported.logits(images) - expected).max() < 1e-4


def test_images_of_any_size_are_seen_at_the_size_of_the_network(exported: Exported) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 3, 31, 20), np.uint8)
    expected = exported.classifier.logits(torch.from_numpy(images)).numpy()
    assert np.abs(exported.logits(images) - expected).max() < 1e-4


@pytest.mark.parametrize("size", [(12, 12), (31, 20), (5, 40)])
def test_u34_weights_and_onnx_take_the_same_images_of_any_size(exported: Exported, size: tuple[int, int]) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, *size, 3), np.uint8)
    logits = exported.logits(images.transpose(0, 3, 1, 2))
    expected = exported.classifier.shares(torch.from_numpy(logits)).numpy()
    assert np.abs(exported.classifier.probabilities(images) - expected).max() < 1e-4


def test_weights_refuse_images_of_other_channels(exported: Exported) -> None:
    with pytest.raises(InvalidInput, match=r"takes uint8 images \(n, h, w, 3\), not uint8 \(2, 9, 9\)"):
        exported.classifier.probabilities(np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(InvalidInput, match=r"takes uint8 images .* not float64"):
        exported.classifier.probabilities(np.zeros((2, 9, 9, 3)))


def test_the_file_says_what_it_takes_and_what_it_tells_apart(exported: Exported) -> None:
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (FORMAT, [("", OPSET)])
    [images], [logits] = exported.session.get_inputs(), exported.session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["n", 3, "h", "w"])
    assert (logits.name, logits.shape) == ("logits", ["n", 10])
    metadata = exported.session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(exported.classifier.card.classes)
    assert json.loads(metadata["card"])["values"] == exported.classifier.card.values


def test_the_classifier_is_left_as_it_was(exported: Exported) -> None:
    inplace = [one.inplace for one in exported.classifier.network.modules() if hasattr(one, "inplace")]
    assert any(inplace)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    classifier = made(FAMILIES["mbconv"], SHAPE)
    with pytest.raises(RuntimeUnavailable, match="onnxscript is not installed here: pip install onnx onnxscript"):
        write(classifier, task_of(classifier), tmp_path / "model.onnx")

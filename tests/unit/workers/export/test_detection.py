"""Detectors as ONNX files: onnxruntime gives the outputs of the head, the documented decoder the detections."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from searchsvc.domain import Measurement
from searchsvc.errors import InvalidInput
from searchsvc.spaces.networks import complete
from tests.support.detection import SIDE, a_task
from workers.data import detection as data
from workers.export.onnx import write_detector
from workers.models.trained import ModelCard, serialise
from workers.models.trained_detector import TrainedDetector, load
from workers.training.detection.trainer import untrained

DOCUMENTED = Path(__file__).parents[4] / "docs" / "detection.md"
FAMILIES: dict[str, dict[str, Any]] = {
    "gfl": {"sac_c4": "plain", "attention": "dnl", "neck": "rfp", "coarser": 1},
    "atss": {"class_loss": "focal", "boxes": "dirac", "backbone": "fbnetv3-small"},
}
DATASET = {"name": "digits-scenes", "size": 96, "train": 50, "validation": 20, "test": 20}


def made(folder: Path, values: dict[str, Any]) -> TrainedDetector:
    """Return a detector whose scores are spread out, without training, as loaded from its file."""
    task, dataset = a_task(DATASET, folder, {**values, "resolution": SIDE}), data.load(DATASET)
    network = untrained(complete(task.values, "detection"), dataset, 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for conv in (network.head.classes, network.head.boxes):
            conv.weight.copy_(0.3 * torch.randn(conv.weight.shape, generator=generator))
    path = folder / "model.safetensors"
    path.write_bytes(serialise(network.eval(), ModelCard.of(task, dataset, Measurement(1, {"ap": 0.5}, 1.0))))
    return load(path)


@pytest.fixture(scope="module", params=FAMILIES)
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedDetector, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    detector = made(folder, FAMILIES[request.param])
    write_detector(detector, folder / "detector.onnx")
    return detector, folder


@pytest.mark.parametrize("count", [1, 3])
def test_onnxruntime_gives_the_outputs_of_the_head(detector: tuple[TrainedDetector, Path], count: int) -> None:
    model, folder = detector
    images = np.random.default_rng(0).integers(0, 256, (count, 3, SIDE, SIDE), np.uint8)
    with torch.inference_mode():
        expected = model.network(model.inputs(torch.from_numpy(images)))
    session = onnxruntime.InferenceSession(folder / "detector.onnx")
    outputs = session.run(None, {"images": images.astype(np.float32)})
    names = [one.name for one in session.get_outputs()]
    assert names == ["classes", "boxes", *([] if expected.centerness is None else ["centerness"])]
    for name, values in zip(names, outputs, strict=True):
        np.testing.assert_allclose(values, getattr(expected, name), atol=2e-4)


def test_the_documented_decoder_finds_what_torch_finds(
    detector: tuple[TrainedDetector, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = detector
    pixels = data.load(DATASET).validation.pictures[0][:, :60]  # not as high as wide
    Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / "scene.png")
    monkeypatch.chdir(folder)
    [code] = [one for one in re.findall(r"^```python\n(.*?)^```", DOCUMENTED.read_text(), re.M | re.S) if "onnx" in one]
    names: dict[str, Any] = {}
    exec(compile(code, "detection.md", "exec"), names)
    size = (names["height"], names["width"])
    assert size == (SIDE * 60 // 96, SIDE)
    [expected] = model.detect(torch.from_numpy(names["images"]).to(torch.uint8), [size])
    assert len(names["scores"]) == len(expected.scores) > 10
    assert names["labels"].tolist() == expected.labels.tolist()
    np.testing.assert_allclose(names["scores"], expected.scores, atol=1e-4)
    np.testing.assert_allclose(names["boxes"] * SIDE / 96, expected.boxes.xyxy, atol=1e-2)


def test_the_file_says_what_its_classes_and_its_decoder_are(detector: tuple[TrainedDetector, Path]) -> None:
    model, folder = detector
    metadata = onnxruntime.InferenceSession(folder / "detector.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list("0123456789")
    assert json.loads(metadata["card"]) == model.card.model_dump(mode="json")
    design = model.network.head.design
    assert json.loads(metadata["decoder"]) == {
        "side": SIDE,
        "fill": list(model.card.mean),
        "strides": list(design.strides),
        "bins": design.bins,
    }


def test_deformable_convolutions_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="deformable convolutions"):
        write_detector(made(tmp_path, {"sac_c5": "deform"}), tmp_path / "detector.onnx")

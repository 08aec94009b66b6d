"""Partly labelled datasets: each with unlabelled images and the dataset of its pre-training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.data import shared


@dataclass(frozen=True, slots=True)
class Parts:
    """A dataset, and the network and sections with which trainings on parts of it are compared."""

    name: str
    task: str
    space: str
    metric: str
    section: Mapping[str, Any]
    """The section of the dataset in a job; each repetition has its own split."""
    further: Mapping[str, Any]
    """The section of images that never have a label: the unlabelled images if all labels of the dataset are used."""
    source: Mapping[str, Any]
    """The section of the dataset of the pre-training."""
    fractions: tuple[float, ...]
    values: Mapping[str, Any]
    """The network and its recipe."""
    epochs: int
    source_epochs: int


def mnist_at_14_px(folder: Path, images: int, further: int, tested: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return sections of labelled images, a fifth of all for validation, and of further images.

    Pixels are means of 2x2. Test images come from MNIST's test images, all others from its training images.
    """
    with np.load(shared("classification/mnist.npz"), allow_pickle=False) as whole:
        x_train, y_train, x_test, y_test = (whole[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    random, count = np.random.default_rng(0), images * 5 // 4
    train_part, test_part = random.permutation(len(y_train)), random.permutation(len(y_test))[:tested]
    own, others = train_part[:count], train_part[count : count + further]
    paths = folder / f"mnist-{images}.npz", folder / f"mnist-{further}-further.npz"
    tests = {"x_test": _halved(x_test[test_part]), "y_test": y_test[test_part]}
    np.savez(paths[0], x_train=_halved(x_train[own]), y_train=y_train[own], **tests)
    np.savez(paths[1], x_train=_halved(x_train[others]), y_train=y_train[others])
    labelled, unlabelled = ({"format": "npz", "path": str(path), "name": path.stem} for path in paths)
    return labelled, unlabelled


def _halved(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (n, h, w) means of (n, 2h, 2w) pixels."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2)
    return blocks.mean((2, 4)).round().astype(np.uint8)


def cards_in_parts(folder: Path, size: int, further: int, validation: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a section of the photographs of playing cards without `further` of them, and a section of these.

    `validation`: the share of the first section that is held out; 67 other photographs are for testing.
    """
    root = shared("detection/playing_cards_320")
    (folder / "images").symlink_to(root / "images")
    document = json.loads((root / "instances_train.json").read_text(encoding="utf-8"))
    order = np.random.default_rng(0).permutation(len(document["images"]))
    for name, part in (("further", order[:further]), ("labelled", order[further:])):
        images = [document["images"][place] for place in np.sort(part)]
        ids = {one["id"] for one in images}
        boxes = [one for one in document["annotations"] if one["image_id"] in ids]
        text = json.dumps({**document, "images": images, "annotations": boxes})
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "test.json").write_bytes((root / "instances_val.json").read_bytes())
    section = {"format": "coco", "path": str(folder), "size": size}
    labelled = {**section, "name": "playing-cards", "annotations": "labelled.json", "test_annotations": "test.json"}
    return {**labelled, "validation": validation}, {**section, "name": "further-cards", "annotations": "further.json"}

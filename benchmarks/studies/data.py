"""The datasets of the studies, each with the training of a trial: digits, a part of MNIST, scenes, cards."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Data:
    """A dataset, and the compute spent on a trial."""

    name: str
    section: Mapping[str, Any]
    side: int
    """Side of the images as the networks see them, in pixels."""
    epochs: int
    trials: int
    """Number of trials of a search that trains each candidate by itself."""
    batch: int
    """Number of trials that FBNetV3 trains before it predicts."""


def digits(epochs: int, trials: int, batch: int) -> Data:
    """Return scikit-learn's 1,797 images of 8x8 px."""
    return Data("digits", {"name": "digits"}, 8, epochs, trials, batch)


def mnist_part(folder: Path, epochs: int, trials: int, batch: int, images: int = 5000) -> Data:
    """Write training images of MNIST and 2,000 of its test images to a file in `folder`; seen at 14x14 px."""
    source = shared("classification/mnist.npz")
    whole, random, path = np.load(source, allow_pickle=False), np.random.default_rng(0), folder / f"mnist-{images}.npz"
    train_part, test_part = random.permutation(60_000)[:images], random.permutation(10_000)[:2000]
    np.savez(
        path,
        x_train=whole["x_train"][train_part],
        y_train=whole["y_train"][train_part],
        x_test=whole["x_test"][test_part],
        y_test=whole["y_test"][test_part],
    )
    section = {"format": "npz", "path": str(path), "name": f"mnist-{images}"}
    return Data(f"mnist-{images}", section, 14, epochs, trials, batch)


def scenes(epochs: int, trials: int, batch: int, **options: int) -> Data:
    """Return generated scenes of digits, 128x128 px by default: 200 to train on, 60 for validation, 200 for testing."""
    section = {"name": "digits-scenes", "test": 200, **options}
    return Data("digits-scenes", section, options.get("size", 128), epochs, trials, batch)


def cards(epochs: int) -> Data:
    """Return photographs of playing cards, seen at 160x160 px: 296, a fifth for validation, and 67 for testing."""
    section = {
        "format": "coco",
        "name": "playing-cards",
        "path": str(shared("detection/playing_cards_320")),
        "annotations": "instances_train.json",
        "test_annotations": "instances_val.json",
        "size": 160,
    }
    return Data("playing-cards", section, 160, epochs, 0, 0)


def shared(name: str) -> Path:
    path = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data" / name
    if not path.exists():
        sys.exit(f"{path} is not there: set SEARCHSVC_SHARED to the folder that holds data/{name}")
    return path

"""What the studies are made on: digits and a part of MNIST, each with how far a trial is trained."""

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
    """A dataset, and how much is spent on a trial."""

    name: str
    section: Mapping[str, Any]
    side: int
    """Of the images as the networks see them."""
    epochs: int
    trials: int
    """Of a search that trains each candidate by itself."""
    batch: int
    """Trials that FBNetV3 trains before it predicts."""


def digits(epochs: int, trials: int, batch: int) -> Data:
    """scikit-learn's 1,797 images of 8x8 px."""
    return Data("digits", {"name": "digits"}, 8, epochs, trials, batch)


def mnist_part(folder: Path, epochs: int, trials: int, batch: int, images: int = 5000) -> Data:
    """That many training images of MNIST and 2,000 of its test images, as a file in `folder`; seen at 14x14 px."""
    shared = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data/classification/mnist.npz"
    if not shared.exists():
        sys.exit(f"{shared} is not there: set SEARCHSVC_SHARED to the folder that holds data/classification/mnist.npz")
    whole, random, path = np.load(shared, allow_pickle=False), np.random.default_rng(0), folder / f"mnist-{images}.npz"
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

"""`digits`: 1,797 handwritten digits of 8x8 px in 17 shades, shipped with scikit-learn (UCI, E. Alpaydin)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from workers.data.dataset import RawDataset, Split
from workers.data.options import DatasetFormat, ReassessedOptions


class DigitsOptions(ReassessedOptions):
    """Options of `digits`, whose split is fixed (1,151 train, 287 validation, 359 test)."""

    name: Literal["digits"]


def _read(options: DigitsOptions) -> RawDataset:
    """Read the digits; shades stay 0 to 16, so that `load_digits().images.astype("uint8")` fits a trained model."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = digits.images.astype(np.uint8)[:, None]  # (1797, 1, 8, 8)
    return RawDataset(options.name, tuple("0123456789"), Split(images, digits.target.astype(np.int64)))


DIGITS = DatasetFormat(
    "1,797 handwritten digits of 8x8 px, 10 classes; ships with scikit-learn",
    DigitsOptions,
    _read,
    lambda _: None,
    paths=("reassessed",),
)

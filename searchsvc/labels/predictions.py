"""What a trained classifier says of the validation images, kept compactly: its likeliest classes, not all of them.

For 50,000 images of 1,000 classes that is 3.2 MB before compression, where all probabilities would take 100 MB.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput

FILE = "predictions.npz"
KEPT = 16
"""Classes that are kept of each image at most."""
_NAMES = ("classes", "probabilities", "labels")


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Of n images, in the order of the split."""

    classes: NDArray[np.integer]
    """(n, k) the likeliest first."""
    probabilities: NDArray[np.float16]
    """(n, k) of these classes."""
    labels: NDArray[np.integer]
    """(n,) what the dataset says."""

    @property
    def accuracy(self) -> float:
        return float((self.classes[:, 0] == self.labels).mean())

    def content(self) -> bytes:
        """Of the file: the same bytes for the same predictions."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            classes=_small(self.classes),
            probabilities=self.probabilities.astype(np.float16),
            labels=_small(self.labels),
        )
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises InvalidInput where the file is not there, or not whole."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(*(file[name] for name in _NAMES))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InvalidInput.at("", f"{path} holds no predictions that can be read: {error}") from None


def _small(indices: NDArray[np.integer]) -> NDArray[np.integer]:
    """In as few bytes as they fit into."""
    return indices.astype(np.min_scalar_type(int(indices.max(initial=0))))

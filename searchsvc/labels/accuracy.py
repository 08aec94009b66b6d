"""Accuracy against label sets (ReaL, arXiv 2006.07159, section 4): images with an empty set do not count.

| symbol | meaning | shape |
|---|---|---|
| ranked | classes of each image, the likeliest first | (n, k) |
| hits | whether any of the first 1, 2, ..., k classes is in the label set of the image | (n, k) |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.labels.sets import LabelSets

TOP = 5
"""Number of classes per image that a top-k metric considers."""


def ranked(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the classes (n, k) with the highest `scores` (n, K), the best first; ties go to the lower class index."""
    best: NDArray[np.intp] = scores.argmax(1)[:, None] if k == 1 else np.argsort(-scores, 1, "stable")[:, :k]
    return best


def hits(ranked: NDArray[np.integer], sets: LabelSets) -> NDArray[np.bool_]:
    """Return the mask (n, k): whether the first 1, 2, ..., k ranked classes (n, k) contain a label of the image."""
    return np.logical_or.accumulate(sets.contain(ranked), axis=1)


def real_accuracy(ranked: NDArray[np.integer], sets: LabelSets, k: int = 1) -> float:
    """Return the share of labelled images for which any of the first k classes is a label.

    Raises InvalidInput if all sets are empty.
    """
    counted = sets.counts > 0
    if not counted.any():
        raise InvalidInput.at("", "all label sets are empty: there is no image to measure on")
    return float(hits(ranked[:, :k], sets)[counted, -1].mean())

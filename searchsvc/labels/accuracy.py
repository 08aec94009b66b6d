"""Accuracy against label sets (ReaL, arXiv 2006.07159, section 4): images whose set is empty do not count.

| symbol | meaning | shape |
|---|---|---|
| ranked | classes of each image, the likeliest first | (n, k) |
| hits | whether one of the first 1, 2, ..., k of them is in the set of the image | (n, k) |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.labels.sets import LabelSets

TOP = 5
"""Answers that a metric of more than one looks at."""


def ranked(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """(n, k) the classes with the highest of `scores` (n, K), the best first; of equal ones the first."""
    best: NDArray[np.intp] = scores.argmax(1)[:, None] if k == 1 else np.argsort(-scores, 1, "stable")[:, :k]
    return best


def hits(ranked: NDArray[np.integer], sets: LabelSets) -> NDArray[np.bool_]:
    """(n, k) from classes (n, k), the likeliest first."""
    return np.logical_or.accumulate(sets.contain(ranked), axis=1)


def real_accuracy(ranked: NDArray[np.integer], sets: LabelSets, k: int = 1) -> float:
    """The share of the images with a label of which one of the first k answers is a label.

    Raises InvalidInput where all sets are empty.
    """
    counted = sets.counts > 0
    if not counted.any():
        raise InvalidInput.at("", "all label sets are empty: there is no image to measure on")
    return float(hits(ranked[:, :k], sets)[counted, -1].mean())

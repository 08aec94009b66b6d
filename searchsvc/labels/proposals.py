"""Which labels to ask people about (arXiv 2006.07159, section 3): what several networks that differ say of an image.

An image on which all of them agree with its label is settled. For the others every class that one of them named, and
the label, is a proposal: a question of its own, since an image may show several things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.labels.predictions import Predictions
from searchsvc.labels.sets import Indices, LabelSets


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Of n images."""

    settled: NDArray[np.bool_]
    """(n,)"""
    images: Indices
    """(m,) of each question, ascending."""
    classes: Indices
    """(m,) of each question, ascending for one image."""


def diverse(answers: NDArray[np.integer], count: int) -> list[int]:
    """Rows of `answers` (T, n), which are the best first: the first, then those that differ most from all before."""
    chosen = [0]
    nearest = (answers != answers[0]).mean(1)  # (T,) the share of images on which each differs from the nearest chosen
    while len(chosen) < min(count, len(answers)):
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, (answers != answers[chosen[-1]]).mean(1))
    return chosen


def proposals(networks: Sequence[Predictions], confidence: float) -> Proposals:
    """Of all networks: the answer of each, and what one gives a probability of `confidence` or more."""
    labels = networks[0].labels.astype(np.int64)
    everyone = np.arange(len(labels))
    pairs = [(everyone, labels)]
    for one in networks:
        named = one.probabilities >= confidence
        named[:, 0] = True
        images, places = np.nonzero(named)
        pairs.append((images, one.classes[images, places].astype(np.int64)))
    images, classes = (np.concatenate(part) for part in zip(*pairs, strict=True))
    found = LabelSets.of_pairs(images, classes, len(labels))
    settled = found.counts == 1
    asked = ~settled[found.images]
    return Proposals(settled, found.images[asked], found.classes[asked])

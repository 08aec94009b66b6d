"""Selection of the labels that people should review (arXiv 2006.07159, section 3), from the predictions of networks.

An image is settled if all networks agree with its label. For every other image the label and every class that a network
predicted is a proposal. Each proposal is a separate question, since an image may show several objects.
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
    """Settled images, and m questions about the others of n images."""

    settled: NDArray[np.bool_]
    """(n,) whether all networks agree with the label of the image."""
    images: Indices
    """(m,) image of each question, ascending."""
    classes: Indices
    """(m,) class of each question, ascending within an image."""


def diverse(answers: NDArray[np.integer], count: int) -> list[int]:
    """Return up to `count` rows of `answers` (T, n), which is sorted by quality, the best first.

    The first row is always chosen, then repeatedly the row that differs most from all chosen rows.
    """
    chosen = [0]
    nearest = (answers != answers[0]).mean(1)  # (T,) the share of images on which each differs from the nearest chosen
    while len(chosen) < min(count, len(answers)):
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, (answers != answers[chosen[-1]]).mean(1))
    return chosen


def proposals(networks: Sequence[Predictions], confidence: float) -> Proposals:
    """Return the proposals: the top class of each network, and all classes with at least probability `confidence`."""
    labels = networks[0].labels.astype(np.int64)
    all_images = np.arange(len(labels))
    pairs = [(all_images, labels)]
    for network in networks:
        named = network.probabilities >= confidence
        named[:, 0] = True
        images, places = np.nonzero(named)
        pairs.append((images, network.classes[images, places].astype(np.int64)))
    images, classes = (np.concatenate(part) for part in zip(*pairs, strict=True))
    proposed = LabelSets.of_pairs(images, classes, len(labels))
    settled = proposed.counts == 1
    is_open = ~settled[proposed.images]
    return Proposals(settled, proposed.images[is_open], proposed.classes[is_open])

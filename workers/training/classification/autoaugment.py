"""AutoAugment (arXiv 1805.09501) of a whole batch on the device: its policy for ImageNet, table 9.

Each image gets one of 25 pairs of operations; each operation of a pair has a probability and a level from 0 to 9.
Ranges and the mechanics of a batch are those of `randaugment` in this folder; inverting is solarizing from 0 on.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workers.training.classification.randaugment import OPERATIONS, augmented

_LEVELS = 9.0

POLICY: tuple[tuple[tuple[str, float, int], tuple[str, float, int]], ...] = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)
"""Pairs of (operation, probability, level)."""


def autoaugment(images: Tensor, random: np.random.Generator) -> Tensor:
    """Augment images (n, c, h, w) uint8 from black (0) to white (255); operations are drawn on the host."""
    n = len(images)
    pairs = random.integers(len(POLICY), size=n)
    for step in range(2):
        which, chances, strengths = _table(step)
        meets = random.random(n) < chances[pairs]
        signs = np.where(random.random(n) < 0.5, -1.0, 1.0)
        images = augmented(images, np.where(meets, which[pairs], 0), signs * strengths[pairs])  # 0: identity
    return images


@cache
def _table(step: int) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return operation, probability and strength from 0 to 1 of each pair's first or second operation, (25,) each."""
    rows = [pair[step] for pair in POLICY]
    inverts = np.array([name == "invert" for name, _, _ in rows])
    names = np.array([OPERATIONS.index("solarize" if name == "invert" else name) for name, _, _ in rows])
    levels = np.where(inverts, _LEVELS, [level for _, _, level in rows])
    return names, np.array([chance for _, chance, _ in rows]), levels / _LEVELS

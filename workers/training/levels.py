"""Levels of augmentation of "Rethinking Pre-training and Self-training" (arXiv 2006.06882), for all tasks.

Each level scales an image by a random factor from a range; a larger image is cropped at random, a smaller image padded.
From level S2 on, a policy also changes the image. The paper flips in every level. Here flipping is a separate
choice, because mirrored digits and mirrored playing cards are invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Level:
    """Strength of an augmentation."""

    scales: tuple[float, float]
    policy: Literal["autoaugment", "randaugment"] | None = None


LEVELS: Mapping[str, Level] = MappingProxyType(
    {
        "none": Level((1.0, 1.0)),
        "S1": Level((0.8, 1.2)),
        "S2": Level((0.8, 1.2), "autoaugment"),
        "S3": Level((0.5, 2.0), "autoaugment"),
        "S4": Level((0.5, 2.0), "randaugment"),
    }
)

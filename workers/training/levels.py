"""Levels of augmentation: those of "Rethinking Pre-training and Self-training" (arXiv 2006.06882), for every task.

Each scales an image by a factor drawn from a range; what is then larger is cropped at random, what is smaller padded.
From the second on a policy changes it besides. Flipping, which the paper has in every level, is a choice of its own
here: mirrored digits and mirrored playing cards are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, slots=True)
class Level:
    """How strongly images are changed."""

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

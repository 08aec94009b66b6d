"""Turn an image of a dataset into the square input of a detector: augmented for training, only fitted for evaluation.

A level (`workers.training.levels`) fits the longer side of an image to the square's side times a random factor. A
smaller image lies in the upper left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from torchvision.transforms.v2 import functional as F  # noqa: N812 - the field's name for it

from workers.data.detection.picturefiles import fitted
from workers.training.detection.policies import Policy, autoaugment, randaugment
from workers.training.detection.sample import Fill, Scene
from workers.training.levels import LEVELS

_POLICIES: Mapping[str, Policy] = MappingProxyType({"autoaugment": autoaugment, "randaugment": randaugment})


@dataclass(frozen=True, slots=True)
class DetectionAugmentation:
    """The augmentation that a recipe chooses."""

    level: str = "S1"
    """A key of LEVELS."""
    flip: bool = False
    """True if each image is mirrored left to right with a probability of 0.5."""
    color: float = 0.0
    """Brightness, contrast and saturation are multiplied by factors from 1 - color to 1 + color; below 1."""

    def __call__(self, sample: Scene, side: int, random: np.random.Generator, fill: Fill) -> Scene:
        """Return a scene of `side` x `side` px. Its boxes lie inside; boxes of which too little is left are removed."""
        level = LEVELS[self.level]
        if level.policy:
            sample = _POLICIES[level.policy](sample, random, fill)
        if self.flip and random.random() < 0.5:
            sample = sample.flipped()
        if self.color:
            sample = _coloured(sample, self.color, random)
        return padded(_scaled(sample, side, level.scales, random).trimmed(), side, fill)


def plain(sample: Scene, side: int, fill: Fill) -> Scene:
    """Fit the scene into the upper left of `side` x `side` px, for measuring and for predictions."""
    return padded(sample.resized(*fitted(*sample.size, side)), side, fill)


def padded(sample: Scene, side: int, fill: Fill) -> Scene:
    """Return `side` x `side` px with the scene, which is not larger, in the upper left."""
    height, width = sample.size
    if height == width == side:
        return sample
    image = sample.image.new_tensor([round(value) for value in fill])[:, None, None].repeat(1, side, side)
    image[:, :height, :width] = sample.image
    return sample.recoloured(image)


def _scaled(sample: Scene, side: int, scales: tuple[float, float], random: np.random.Generator) -> Scene:
    """Return at most `side` x `side` px: a random part of the image if it would be larger."""
    height, width = fitted(*sample.size, round(side * random.uniform(*scales)))
    sample = sample.resized(height, width)
    rows, columns = min(height, side), min(width, side)
    if (rows, columns) == (height, width):
        return sample
    top, left = (int(random.integers(all_ - some + 1)) for all_, some in ((height, rows), (width, columns)))
    return sample.cropped(top, left, rows, columns)


def _coloured(sample: Scene, color: float, random: np.random.Generator) -> Scene:
    image = sample.image
    for adjust in (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation):
        image = adjust(image, random.uniform(1.0 - color, 1.0 + color))
    return sample.recoloured(image)

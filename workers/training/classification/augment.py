"""Augmentation of a batch of images on the device: shift, flip, RandAugment; and mixup of normalised images.

A level (`workers.training.levels`) replaces shift and RandAugment.

| symbol | meaning | shape |
|---|---|---|
| x | images: as stored in the dataset, but normalised for mixup | (n, c, h, w) |
| y | targets, smoothed one-hot | (n, K) |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.training.classification.autoaugment import autoaugment
from workers.training.classification.randaugment import LARGEST_MAGNITUDE, randaugment, sampled
from workers.training.levels import LEVELS, Level
from workers.training.recipe import ClassifierRecipe


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Augmentation of images (n, c, h, w) uint8, by a recipe."""

    shift: float
    flip: bool
    magnitude: float
    """Magnitude of RandAugment; 0: no RandAugment."""
    level: Level | None
    """Level that replaces shift and RandAugment; None: no level."""
    factor: int
    """Factor that stretches a dataset of darker bytes, since RandAugment takes 0 for black and 255 for white."""

    @classmethod
    def of(cls, recipe: ClassifierRecipe, peak: int) -> Self:
        """Return the augmentation of a recipe. `peak`: largest value of any training image."""
        factor = 255 // max(1, peak)
        if recipe.augmentation == "none":
            return cls(recipe.shift, recipe.flip, recipe.randaugment, None, factor)
        return cls(0.0, recipe.flip, 0.0, LEVELS[recipe.augmentation], factor)

    def __call__(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Return augmented images in the same units."""
        if self.shift:
            images = shift(images, self.shift, random)
        if self.flip:
            images = flip(images, random)
        if self.level:
            return _at_level(images * self.factor, self.level, random) / self.factor
        if self.magnitude:
            images = randaugment(images * self.factor, self.magnitude, random) / self.factor
        return images


def _at_level(images: Tensor, level: Level, random: np.random.Generator) -> Tensor:
    if level.policy == "autoaugment":
        images = autoaugment(images, random)
    elif level.policy == "randaugment":
        images = randaugment(images, LARGEST_MAGNITUDE, random)
    return jittered(images, level.scales, random)


def smoothed(labels: Tensor, classes: int, smoothing: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return targets (n, K) for labels (n,): smoothing / K everywhere, and 1 - smoothing more at the label.

    Targets (n, K), such as soft pseudo labels, are smoothed in the same way.
    """
    off = smoothing / classes
    if labels.is_floating_point():
        return (labels * (1.0 - smoothing) + off).to(dtype)
    targets = torch.full((len(labels), classes), off, dtype=dtype, device=labels.device)
    return targets.scatter_(1, labels[:, None], 1.0 - smoothing + off)


def mixup(images: Tensor, targets: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return x' = w x + (1 - w) x reversed, and y' likewise; reversed: the batch in reverse order.

    This follows timm; arXiv 1710.09412.
    """
    if weight == 1.0:
        return images, targets
    return torch.lerp(images.flip(0), images, weight), torch.lerp(targets.flip(0), targets, weight)


def jittered(images: Tensor, scales: tuple[float, float], random: np.random.Generator) -> Tensor:
    """Scale each image by its own factor from `scales`, and place it at random.

    A larger image is cropped to the old size; a smaller one is surrounded by black.
    """
    n, height, width = len(images), *images.shape[2:]
    factors = random.uniform(*scales, n)  # (n,)
    across, down = random.uniform(-0.5, 0.5, (2, n)) * np.abs(factors - 1.0)
    maps = np.zeros((n, 2, 3))  # from a pixel of the result to a pixel of the image, as in `randaugment`
    maps[:, 0, 0] = maps[:, 1, 1] = 1.0 / factors
    maps[:, 0, 2], maps[:, 1, 2] = -across * width / factors, -down * height / factors
    return sampled(images, maps)


def flip(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    mirrored = _on(images, generator.random(len(images)) < 0.5)  # (n,)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def shift(images: Tensor, share: float, generator: np.random.Generator) -> Tensor:
    """Move each image by its own whole number of px, up to `share` of its sides; the edge fills the gap."""
    n, _, height, width = images.shape
    down, right = round(share * height), round(share * width)
    if not (down or right):
        return images
    rows = np.arange(height) + generator.integers(-down, down + 1, (n, 1))  # (n, h)
    columns = np.arange(width) + generator.integers(-right, right + 1, (n, 1))  # (n, w)
    each = _on(images, np.arange(n))[:, None, None]  # (n, 1, 1)
    rows, columns = rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None, :]
    moved = images[each, :, _on(images, rows), _on(images, columns)]  # (n, h, w, c)
    return moved.permute(0, 3, 1, 2)


def _on(images: Tensor, numbers: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(numbers).to(images.device)

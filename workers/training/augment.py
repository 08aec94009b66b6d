"""What happens to a batch of images on the device before the network sees it: shift, flip, mixup.

| symbol | meaning | shape |
|---|---|---|
| x | normalised images | (n, c, h, w) |
| y | targets, smoothed one-hot | (n, K) |
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it


def smoothed(labels: Tensor, classes: int, smoothing: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """(n,) labels -> (n, K) targets: smoothing / K everywhere, and 1 - smoothing more at the label."""
    off = smoothing / classes
    targets = torch.full((len(labels), classes), off, dtype=dtype, device=labels.device)
    return targets.scatter_(1, labels[:, None], 1.0 - smoothing + off)


def mixup(images: Tensor, targets: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """x' = w x + (1 - w) flipped x, the same for y; flipped: the batch in reverse order (timm; arXiv 1710.09412)."""
    if weight == 1.0:
        return images, targets
    return torch.lerp(images.flip(0), images, weight), torch.lerp(targets.flip(0), targets, weight)


def flip(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Each image mirrored left to right with a chance of one half."""
    mirrored = _on(images, generator.random(len(images)) < 0.5)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def shift(images: Tensor, share: float, generator: np.random.Generator) -> Tensor:
    """Each image moved by its own whole number of px, up to `share` of its sides; the edge fills what opens."""
    n, _, height, width = images.shape
    down, right = round(share * height), round(share * width)
    if not (down or right):
        return images
    padded = F.pad(images, (right, right, down, down), mode="replicate")  # (n, c, h + 2 down, w + 2 right)
    rows = _on(images, generator.integers(0, 2 * down + 1, n))[:, None] + _on(images, np.arange(height))  # (n, h)
    columns = _on(images, generator.integers(0, 2 * right + 1, n))[:, None] + _on(images, np.arange(width))  # (n, w)
    each = _on(images, np.arange(n))[:, None, None]
    taken = padded[each, :, rows[:, :, None], columns[:, None, :]]  # (n, h, w, c)
    return taken.permute(0, 3, 1, 2)


def _on(images: Tensor, numbers: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    return torch.from_numpy(numbers).to(images.device)

"""The inputs of a network from the images of a dataset: resized to the network's size, and normalised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

_LARGEST_BATCH, _BATCH_PIXELS = 1024, 2**22
"""The most images of a batch, and the most px of all its images together."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Resizes and normalises images in the same way for training, evaluation and prediction."""

    size: tuple[int, int]
    """Height and width that the network sees, in px."""
    batch: int
    """Images per batch of a forward pass without gradients; fewer if images are large."""
    scale: Tensor
    """(1, c, 1, 1): the inverse of the standard deviation."""
    offset: Tensor
    """(1, c, 1, 1): the summand that makes the mean of the scaled values 0."""

    @classmethod
    def of(
        cls,
        mean: Sequence[float],
        std: Sequence[float],
        stored: tuple[int, int, int],
        seen: tuple[int, int, int],
        device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
    ) -> Self:
        """Return the transformation for images whose channels have `mean` and `std`, in the units of the images.

        `stored`, `seen`: (channels, height, width) of an image in the dataset, and after resizing for the network.
        """
        # (c) each
        means, scales = torch.tensor(mean, dtype=torch.float64), 1.0 / torch.tensor(std, dtype=torch.float64)
        # (1, c, 1, 1) each
        scale, offset = (one.float().view(1, -1, 1, 1).to(device) for one in (scales, -means * scales))
        pixels = max(math.prod(stored[1:]), math.prod(seen[1:]))  # of an image, before or after resizing
        return cls(seen[1:], max(1, min(_LARGEST_BATCH, _BATCH_PIXELS // pixels)), scale, offset)

    def __call__(self, images: Tensor) -> Tensor:
        """Map uint8 (n, c, h, w) to float32 (n, c, *size), channels last in memory."""
        if tuple(images.shape[2:]) != self.size:
            images = self.resized(images.float())  # (n, c, *size)
        return torch.mul(images, self.scale).add_(self.offset).contiguous(memory_format=torch.channels_last)

    def parts(self, images: Tensor) -> tuple[Tensor, ...]:
        """Split images (n, c, h, w) of any size into batches of a forward pass without gradients."""
        return torch.split(images, max(1, min(self.batch, _BATCH_PIXELS // max(1, math.prod(images.shape[2:])))))

    def resized(self, images: Tensor) -> Tensor:
        """Resize float32 (n, c, h, w) to (n, c, *size)."""
        return F.interpolate(images, self.size, mode="bilinear", antialias=True, align_corners=False)

"""One image with its boxes, and the changes that both of them take part in, by torchvision.transforms.v2.

Boxes follow their pixels without being cut, until `trimmed`: only then is known how much of each is left. A box that
is turned or sheared becomes the least upright one around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812 - the field's name for it

LEAST_SIDE, LEAST_SHARE = 2.0, 0.2
"""px of either side, and share of its area, that must be inside the image for a box to be kept."""

Fill = Sequence[float]
"""Of each channel: what pixels are that come from outside the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image and its m boxes."""

    image: Tensor
    """tv_tensors.Image, (3, h, w) uint8."""
    boxes: Tensor
    """tv_tensors.BoundingBoxes, (m, 4) float32: x0, y0, x1, y1 in px of the image."""
    labels: Tensor
    """(m,) int64."""

    @classmethod
    def of(cls, image: NDArray[np.uint8], boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> Self:
        """The image is copied as soon as something is changed, not before."""
        whole = tv_tensors.Image(torch.from_numpy(image))
        return cls(whole, _boxes(torch.from_numpy(boxes).float(), whole.shape[1:]), torch.from_numpy(labels))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        height, width = self.image.shape[1:]
        return height, width

    def flipped(self) -> Self:
        """Mirrored left to right."""
        return replace(self, image=F.horizontal_flip(self.image), boxes=F.horizontal_flip(self.boxes))

    def resized(self, height: int, width: int) -> Self:
        if self.size == (height, width):
            return self
        image, boxes = (F.resize(one, [height, width], antialias=True) for one in (self.image, self.boxes))
        return replace(self, image=image, boxes=boxes)

    def cropped(self, top: int, left: int, height: int, width: int) -> Self:
        image, boxes = (F.crop(one, top, left, height, width) for one in (self.image, self.boxes))
        return replace(self, image=image, boxes=boxes)

    def rotated(self, degrees: float, fill: Fill) -> Self:
        """Clockwise, about the middle."""
        return self._warped(fill, angle=degrees)

    def sheared(self, across: float, down: float, fill: Fill) -> Self:
        """px per px, about the upper left corner."""
        degrees = [math.degrees(math.atan(one)) for one in (across, down)]
        return self._warped(fill, shear=degrees, center=[0.0, 0.0])

    def moved(self, right: float, down: float, fill: Fill) -> Self:
        """By shares of the sides, in whole px."""
        height, width = self.size
        return self._warped(fill, translate=[int(right * width), int(down * height)])

    def recoloured(self, image: Tensor) -> Self:
        """The same boxes around other pixels."""
        return replace(self, image=image)

    def trimmed(self) -> Self:
        """Boxes cut at the border of the image, without those of which too little is left."""
        whole = self.boxes.as_subclass(Tensor)
        height, width = self.size
        inside = torch.minimum(whole.clamp(min=0), whole.new_tensor((width, height, width, height)))
        sides = inside[:, 2:] - inside[:, :2]
        areas = (whole[:, 2:] - whole[:, :2]).prod(1)
        kept = (sides.amin(1) >= LEAST_SIDE) & (sides.prod(1) >= LEAST_SHARE * areas)
        return replace(self, boxes=_boxes(inside[kept], self.size), labels=self.labels[kept])

    def _warped(self, fill: Fill, **given: Any) -> Self:
        by = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **given}
        image = F.affine(self.image, interpolation=InterpolationMode.BILINEAR, fill=list(fill), **by)
        return replace(self, image=image, boxes=F.affine(self.boxes, **by))


def _boxes(xyxy: Tensor, size: tuple[int, ...]) -> Tensor:
    boxes: Tensor = tv_tensors.BoundingBoxes(xyxy, format="XYXY", canvas_size=tuple(size), clamping_mode=None)
    return boxes

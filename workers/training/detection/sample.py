"""An image with its boxes, and changes that apply to both, by torchvision.transforms.v2.

Boxes follow their pixels without being cut, until `trimmed`: only then is it known how much of each is left. A rotated
or sheared box becomes the smallest upright box around it.
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
"""A box is removed unless both its sides have this many px inside the image, and this share of its area lies inside."""

Fill = Sequence[float]
"""Value of pixels from outside the image, by channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image with m boxes."""

    image: Tensor
    """tv_tensors.Image, (3, h, w) uint8."""
    boxes: Tensor
    """tv_tensors.BoundingBoxes, (m, 4) float32: x0, y0, x1, y1 in px of the image."""
    labels: Tensor
    """(m,) int64."""

    @classmethod
    def of(cls, image: NDArray[np.uint8], boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> Self:
        """Return the scene. The image is not copied until it is changed."""
        whole = tv_tensors.Image(torch.from_numpy(image))
        return cls(whole, _boxes(torch.from_numpy(boxes).float(), whole.shape[1:]), torch.from_numpy(labels))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        height, width = self.image.shape[1:]
        return height, width

    def flipped(self) -> Self:
        """Mirror left to right."""
        return replace(self, image=F.horizontal_flip(self.image), boxes=F.horizontal_flip(self.boxes))

    def resized(self, height: int, width: int) -> Self:
        if self.size == (height, width):
            return self
        image, boxes = (F.resize(each, [height, width], antialias=True) for each in (self.image, self.boxes))
        return replace(self, image=image, boxes=boxes)

    def cropped(self, top: int, left: int, height: int, width: int) -> Self:
        image, boxes = (F.crop(each, top, left, height, width) for each in (self.image, self.boxes))
        return replace(self, image=image, boxes=boxes)

    def rotated(self, degrees: float, fill: Fill) -> Self:
        """Rotate clockwise about the middle."""
        return self._warped(fill, angle=degrees)

    def sheared(self, across: float, down: float, fill: Fill) -> Self:
        """Shear by px per px, about the upper left corner."""
        degrees = [math.degrees(math.atan(slope)) for slope in (across, down)]
        return self._warped(fill, shear=degrees, center=[0.0, 0.0])

    def moved(self, right: float, down: float, fill: Fill) -> Self:
        """Translate by shares of the sides, in whole px."""
        height, width = self.size
        return self._warped(fill, translate=[int(right * width), int(down * height)])

    def recoloured(self, image: Tensor) -> Self:
        """Replace the pixels and keep the boxes."""
        return replace(self, image=image)

    def trimmed(self) -> Self:
        """Cut boxes at the border of the image, and remove boxes of which too little is left."""
        whole = self.boxes.as_subclass(Tensor)  # (m, 4)
        height, width = self.size
        inside = torch.minimum(whole.clamp(min=0), whole.new_tensor((width, height, width, height)))
        sides = inside[:, 2:] - inside[:, :2]  # (m, 2)
        areas = (whole[:, 2:] - whole[:, :2]).prod(1)  # (m,)
        large = (sides.amin(1) >= LEAST_SIDE) & (sides.prod(1) >= LEAST_SHARE * areas)
        return replace(self, boxes=_boxes(inside[large], self.size), labels=self.labels[large])

    def _warped(self, fill: Fill, **changes: Any) -> Self:
        by = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **changes}
        image = F.affine(self.image, interpolation=InterpolationMode.BILINEAR, fill=list(fill), **by)
        return replace(self, image=image, boxes=F.affine(self.boxes, **by))


def _boxes(xyxy: Tensor, size: tuple[int, ...]) -> Tensor:
    boxes: Tensor = tv_tensors.BoundingBoxes(xyxy, format="XYXY", canvas_size=tuple(size), clamping_mode=None)
    return boxes

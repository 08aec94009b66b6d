"""The format of boxes: (x0, y0, x1, y1) in pixels, or in strides if a function says so.

Areas are (x1 - x0) (y1 - y0): no pixel is added to a side. Shapes: `...` any leading axes, k boxes in a set, m boxes in
another set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Index: TypeAlias = Tensor | int | slice | tuple[slice | None, ...] | None
EPSILON = 1e-6  # px², or strides²: the least union and the least hull in a denominator


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes (..., 4); the leading axes of two sets must agree, up to broadcasting."""

    xyxy: Tensor

    @classmethod
    def around(cls, centers: Tensor, distances: Tensor) -> Boxes:
        """Return boxes whose left, top, right and bottom sides are `distances` (..., 4) from `centers` (..., 2)."""
        return cls(torch.cat((centers - distances[..., :2], centers + distances[..., 2:]), dim=-1))

    @classmethod
    def cat(cls, sets: Sequence[Boxes]) -> Boxes:
        """Concatenate sets (k_i, 4) to (sum k_i, 4)."""
        return cls(torch.cat([one.xyxy for one in sets]))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: Index) -> Boxes:
        return Boxes(self.xyxy[index])

    def __truediv__(self, scale: Tensor | float) -> Boxes:
        """Return the boxes in other units: `scale` is a number, or a tensor that broadcasts against (..., 4)."""
        return Boxes(self.xyxy / scale)

    def detach(self) -> Boxes:
        """Return the boxes detached from the graph."""
        return Boxes(self.xyxy.detach())

    def centers(self) -> Tensor:
        """Return the centres (..., 2) as x, y."""
        return (self.xyxy[..., :2] + self.xyxy[..., 2:]) / 2

    def areas(self) -> Tensor:
        """Return the areas (...)."""
        return (self.xyxy[..., 2:] - self.xyxy[..., :2]).prod(-1)

    def distances(self, points: Tensor) -> Tensor:
        """Return distances (..., 4) of `points` (..., 2) from left, top, right and bottom side; negative beyond it."""
        return torch.cat((points - self.xyxy[..., :2], self.xyxy[..., 2:] - points), dim=-1)

    def clipped(self, height: int, width: int) -> Boxes:
        """Clip the boxes to an image of `height` x `width` px."""
        xyxy = self.xyxy.clamp(min=0)  # (..., 4)
        return Boxes(torch.minimum(xyxy, xyxy.new_tensor((width, height, width, height))))

    def iou(self, others: Boxes, epsilon: float = EPSILON) -> Tensor:
        """Return the intersection over union of each pair, (...)."""
        intersections, unions = self._overlaps(others, epsilon)  # (...) each
        return intersections / unions

    def pairwise_iou(self, others: Boxes) -> Tensor:
        """Return the IoU (k, m) of all pairs of boxes (k, 4) and (m, 4)."""
        return self[:, None].iou(others[None])  # (k, 1, 4) and (1, m, 4)

    def giou(self, others: Boxes, epsilon: float = EPSILON) -> Tensor:
        """Return I / U - (E - U) / E of each pair, (...); E is the area of the least box around both; arXiv 1902.09630.
        """
        intersections, unions = self._overlaps(others, epsilon)  # (...) each
        # Corners of the least box around both, (..., 2) each.
        low = torch.minimum(self.xyxy[..., :2], others.xyxy[..., :2])
        high = torch.maximum(self.xyxy[..., 2:], others.xyxy[..., 2:])
        hulls = (high - low).clamp(min=0).prod(-1).clamp(min=epsilon)  # (...)
        return intersections / unions - (hulls - unions) / hulls

    def _overlaps(self, others: Boxes, epsilon: float) -> tuple[Tensor, Tensor]:
        """Return the intersections and the unions of the pairs, (...) each."""
        # Corners of the intersection, (..., 2) each; high < low if there is none.
        low = torch.maximum(self.xyxy[..., :2], others.xyxy[..., :2])
        high = torch.minimum(self.xyxy[..., 2:], others.xyxy[..., 2:])
        intersections = (high - low).clamp(min=0).prod(-1)  # (...)
        return intersections, (self.areas() + others.areas() - intersections).clamp(min=epsilon)

"""The one format of boxes: (x0, y0, x1, y1) in pixels, or in strides if a function says so.

Areas are (x1 - x0) (y1 - y0): no pixel is added to a side. Shapes: `...` any leading axes, k boxes of one set, m of
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Index: TypeAlias = Tensor | int | slice | tuple[slice | None, ...] | None
EPSILON = 1e-6  # px², or strides²: the least union and the least hull that anything is divided by


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes (..., 4); what two sets must share is the leading axes, up to broadcasting."""

    xyxy: Tensor

    @classmethod
    def around(cls, centers: Tensor, distances: Tensor) -> Boxes:
        """Boxes whose left, top, right and bottom sides are `distances` (..., 4) away from `centers` (..., 2)."""
        return cls(torch.cat((centers - distances[..., :2], centers + distances[..., 2:]), dim=-1))

    @classmethod
    def cat(cls, sets: Sequence[Boxes]) -> Boxes:
        """Sets (k_i, 4) -> one set (sum k_i, 4)."""
        return cls(torch.cat([one.xyxy for one in sets]))

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: Index) -> Boxes:
        return Boxes(self.xyxy[index])

    def __truediv__(self, scale: Tensor | float) -> Boxes:
        """In other units: `scale` is one number, or a tensor that broadcasts against (..., 4)."""
        return Boxes(self.xyxy / scale)

    def detach(self) -> Boxes:
        """Return the boxes detached from the graph."""
        return Boxes(self.xyxy.detach())

    def centers(self) -> Tensor:
        """(..., 2) as x, y."""
        return (self.xyxy[..., :2] + self.xyxy[..., 2:]) / 2

    def areas(self) -> Tensor:
        """(...)."""
        return (self.xyxy[..., 2:] - self.xyxy[..., :2]).prod(-1)

    def distances(self, points: Tensor) -> Tensor:
        """From `points` (..., 2) to the left, top, right and bottom sides, (..., 4); negative for those outside."""
        return torch.cat((points - self.xyxy[..., :2], self.xyxy[..., 2:] - points), dim=-1)

    def clipped(self, height: int, width: int) -> Boxes:
        """Moved into an image of that size in px."""
        xyxy = self.xyxy.clamp(min=0)
        return Boxes(torch.minimum(xyxy, xyxy.new_tensor((width, height, width, height))))

    def iou(self, others: Boxes, epsilon: float = EPSILON) -> Tensor:
        """Intersection over union, pair by pair, (...)."""
        intersections, unions = self._overlaps(others, epsilon)
        return intersections / unions

    def pairwise_iou(self, others: Boxes) -> Tensor:
        """(k, 4) and (m, 4) -> (k, m)."""
        return self[:, None].iou(others[None])

    def giou(self, others: Boxes, epsilon: float = EPSILON) -> Tensor:
        """I / U - (E - U) / E with E the area of the least box around both, pair by pair, (...); arXiv 1902.09630."""
        intersections, unions = self._overlaps(others, epsilon)
        low = torch.minimum(self.xyxy[..., :2], others.xyxy[..., :2])
        high = torch.maximum(self.xyxy[..., 2:], others.xyxy[..., 2:])
        hulls = (high - low).clamp(min=0).prod(-1).clamp(min=epsilon)
        return intersections / unions - (hulls - unions) / hulls

    def _overlaps(self, others: Boxes, epsilon: float) -> tuple[Tensor, Tensor]:
        """Intersections and unions, pair by pair, (...)."""
        low = torch.maximum(self.xyxy[..., :2], others.xyxy[..., :2])
        high = torch.minimum(self.xyxy[..., 2:], others.xyxy[..., 2:])
        intersections = (high - low).clamp(min=0).prod(-1)
        return intersections, (self.areas() + others.areas() - intersections).clamp(min=epsilon)

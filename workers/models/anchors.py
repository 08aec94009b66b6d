"""One square anchor per location of each feature map (ATSS, arXiv 1912.02424, section 3.2).

Centres are whole multiples of the stride, from 0 on; a side is eight strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.models.boxes import Boxes

SIDE = 8  # strides


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """All anchors of an image size, level after level, each level row by row: A in all."""

    boxes: Boxes  # (A, 4), px
    centers: Tensor  # (A, 2), px
    strides: Tensor  # (A), px
    counts: tuple[int, ...]  # of each level

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], strides: Sequence[int], like: Tensor) -> Anchors:
        """For maps of height and width `sizes`; device of `like`, in its type but never below float32."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        levels = [_centers(size, stride, like.device, dtype) for size, stride in zip(sizes, strides, strict=True)]
        counts = tuple(map(len, levels))
        centers = torch.cat(levels)
        steps = torch.cat(
            [torch.full((n,), s, device=like.device, dtype=dtype) for n, s in zip(counts, strides, strict=True)]
        )
        half = (SIDE / 2 * steps)[:, None]  # (A, 1)
        return cls(Boxes.around(centers, half.expand(-1, 4)), centers, steps, counts)


def _centers(size: tuple[int, int], stride: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(h w, 2) as x, y in px."""
    y, x = (torch.arange(length, device=device, dtype=dtype) * stride for length in size)
    return torch.cartesian_prod(y, x).flip(1)

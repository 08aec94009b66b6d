"""Square anchors, one per location of each feature map (ATSS, arXiv 1912.02424, section 3.2).

Centres are whole multiples of the stride, starting at 0; a side is eight strides.
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
    """The A anchors of an image size, ordered by level and, within a level, by row."""

    boxes: Boxes  # (A, 4), px
    centers: Tensor  # (A, 2), px
    strides: Tensor  # (A), px
    counts: tuple[int, ...]  # of each level

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]], strides: Sequence[int], like: Tensor) -> Anchors:
        """Return the anchors of maps with heights and widths `sizes`.

        They are on the device of `like` and have its type, but at least float32.
        """
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
    """Return the centres (h w, 2) of a level as x, y in px."""
    y, x = (torch.arange(length, device=device, dtype=dtype) * stride for length in size)  # (h), (w)
    return torch.cartesian_prod(y, x).flip(1)  # (h w, 2), from y, x

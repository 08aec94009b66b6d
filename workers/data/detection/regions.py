"""Boxes and areas of segmentations in COCO's form: polygons, and masks in run-length encoding (RLE).

A mask of height h is read column by column: pixel p lies in column p // h and row p % h. Its runs alternate between
background and object, beginning with background. A compressed mask writes each run (from the fourth on, its difference
from the run before the last) in groups of five bits, the lowest first, as characters from "0" on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.data.detection.objects import Corners

_MOST_PIXELS = 2**31
_GROUP_BITS, _LAST_GROUP_BITS = 5, 64


class Region(NamedTuple):
    """The extent of an object."""

    corners: Corners
    area: float
    """px²."""


def region_of(segmentation: object) -> Region | None:
    """Return the region of a segmentation; None if it is empty. Raises ValueError if it is malformed."""
    if segmentation is None or segmentation in ([], {}, "", [[]]):
        return None
    if isinstance(segmentation, dict):
        return _of_mask(segmentation)
    if not isinstance(segmentation, list):
        raise ValueError("a segmentation must be a list of polygons, or an object with `counts` and `size`")
    polygons = [segmentation] if not isinstance(segmentation[0], list) else segmentation
    points = [_points(polygon) for polygon in polygons if polygon]
    if not points:
        return None
    every = np.concatenate(points)  # (p, 2)
    left, top = map(float, every.min(0))
    right, bottom = map(float, every.max(0))
    return Region((left, top, right, bottom), sum(map(_enclosed, points)))


def _points(polygon: object) -> NDArray[np.float64]:
    """Return the corners (p, 2) of a polygon: x, y, x, y, ... or pairs of them."""
    flat = (
        [value for pair in polygon for value in (pair if isinstance(pair, list) else [pair])]
        if isinstance(polygon, list)
        else []
    )
    if len(flat) < 6 or len(flat) % 2 or not all(isinstance(one, int | float) for one in flat):
        raise ValueError("a polygon must have three or more points, as numbers x, y, x, y, ...")
    points = np.array(flat, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise ValueError("the points of a polygon must be finite numbers")
    return points


def _enclosed(points: NDArray[np.float64]) -> float:
    """Return the area of a polygon (p, 2) by the shoelace formula."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _of_mask(mask: dict[str, object]) -> Region | None:
    height, width = _mask_size(mask.get("size"))
    counts = mask.get("counts")
    runs = np.array(_decompressed(counts) if isinstance(counts, str) else _whole(counts), np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise ValueError("the runs of a mask must be at least 0 and fill its size")
    ends = runs.cumsum()
    first, end = (ends - runs)[1::2], ends[1::2]  # (r,) each: of the runs of the object
    first, end = first[end > first], end[end > first]
    if not len(first):
        return None
    left, right = int(first[0]) // height, (int(end[-1]) - 1) // height + 1
    in_column = first // height == (end - 1) // height  # (r,); other runs touch both borders
    top = int(np.where(in_column, first % height, 0).min())
    bottom = int(np.where(in_column, (end - 1) % height, height - 1).max()) + 1
    return Region((left, top, right, bottom), float((end - first).sum()))


def _mask_size(size: object) -> tuple[int, int]:
    sides = _whole(size)
    if len(sides) != 2 or min(sides) < 1 or math.prod(sides) > _MOST_PIXELS:
        raise ValueError("the size of a mask must be its height and width in px")
    return sides[0], sides[1]


def _whole(values: object) -> Sequence[int]:
    if not isinstance(values, list) or not all(type(one) is int and abs(one) <= _MOST_PIXELS for one in values):
        raise ValueError("`counts` and `size` of a mask must be whole numbers, or `counts` compressed text")
    return values


def _decompressed(text: str) -> list[int]:
    runs: list[int] = []
    value = bits = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or bits >= _LAST_GROUP_BITS:
            raise ValueError("the compressed runs of a mask are damaged")
        value |= (group & 31) << bits
        bits += _GROUP_BITS
        if group & 32:
            continue
        if group & 16:
            value -= 1 << bits  # a negative difference
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = bits = 0
        if abs(runs[-1]) > _MOST_PIXELS:
            raise ValueError("the compressed runs of a mask are damaged")
    if bits:
        raise ValueError("the compressed runs of a mask are damaged")
    return runs

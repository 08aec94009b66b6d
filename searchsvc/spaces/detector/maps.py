"""The maps of detectors: strides of the backbone's stages and of the neck's levels, and their numbers of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.gathers import Array, Values
from searchsvc.spaces.fbnetv3 import parts as fbnetv3_parts

STRIDES = (4, 8, 16, 32)
"""Strides of the backbone's maps C2 to C5."""
COARSER = tuple(STRIDES[-1] * 2**number for number in (1, 2, 3))
"""Strides of the levels beyond that of C5."""
SMALLEST = 65
"""Sides of images below this leave maps of less than 3 px at stride 32, too small for switchable convolutions."""

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of an image, the last two replaced by a resolution."""


def strides_of(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the strides of the levels of the neck, fine to coarse."""
    return (*STRIDES[STRIDES.index(values["finest"]) :], *COARSER[: values["coarser"]])


def check_side(side: float, pointer: str) -> None:
    """Raise InvalidInput if images with a side of `side` px are too small."""
    if side < SMALLEST:
        raise InvalidInput.at(pointer, f"a detector takes images of {SMALLEST} px or more on a side, not {side:g}")


def pixels_at(shape: Shape, values: Values, stride: int) -> Array:
    """Return the number of pixels of a map at a stride."""
    height, width = fbnetv3_parts.input_sides(shape, values)
    result: Array = np.ceil(height / stride) * np.ceil(width / stride)  # padding rounds up
    return result


def levels_and_pixels(shape: Shape, values: Values) -> tuple[Array, Array]:
    """Return the number of levels of the neck, and the number of pixels of all levels together."""
    # (7) conditions, a level each: 0 or 1, or arrays of them.
    present = [
        *(values["finest"] <= stride for stride in STRIDES),
        *(values["coarser"] > number for number in range(len(COARSER))),
    ]
    strides = (*STRIDES, *COARSER)
    pixels = (level * pixels_at(shape, values, stride) for level, stride in zip(present, strides, strict=True))
    return sum(present, np.zeros(())), sum(pixels, np.zeros(()))

"""Regions of masks: compressed runs mean what the reference library of COCO writes, and damage is an error."""

from __future__ import annotations

import numpy as np
import pytest
from faster_coco_eval import mask as reference
from numpy.typing import NDArray

from workers.data.detection.regions import Region, region_of


def a_mask(seed: int) -> NDArray[np.uint8]:
    """Return a mask of random size: noise, a sparse one, a block, a full one or a large one."""
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 60, 2).tolist()
    if seed % 5 == 4:
        height, width = height * 40, width * 40  # runs of many digits
    density = (0.5, 0.02, 0.0, 1.0, 0.0)[seed % 5]
    found = (random.random((height, width)) < density).astype(np.uint8)
    top, left = random.integers(0, height), random.integers(0, width)
    if seed % 5 in (2, 4):
        found[top : random.integers(top, height) + 1, left : random.integers(left, width) + 1] = 1
    return found


def expected(found: NDArray[np.uint8]) -> Region | None:
    rows, columns = np.nonzero(found)
    if not len(rows):
        return None
    corners = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
    return Region(corners, float(len(rows)))


def runs_of(found: NDArray[np.uint8]) -> list[int]:
    """Return the lengths of runs, column by column, beginning with background."""
    flat = np.concatenate([[0], found.T.ravel()])
    borders = np.flatnonzero(np.diff(flat))
    return np.diff([0, *borders.tolist(), found.size]).tolist()


@pytest.mark.parametrize("seed", range(60))
def test_runs_mean_the_mask(seed: int) -> None:
    found = a_mask(seed)
    compressed = reference.encode(np.asfortranarray(found))["counts"].decode()
    size = list(found.shape)
    for counts in (compressed, runs_of(found)):
        assert region_of({"size": size, "counts": counts}) == expected(found)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_runs_are_an_error_or_another_mask_of_the_size(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = a_mask(5 * seed)
    compressed = reference.encode(np.asfortranarray(found))["counts"].decode()
    size = list(found.shape)
    for _ in range(20):
        place = int(random.integers(len(compressed)))
        damaged = compressed[:place] + chr(int(random.integers(1, 256))) + compressed[place + 1 :]
        try:
            region = region_of({"size": size, "counts": damaged})
        except ValueError:
            continue
        if region is not None:
            left, top, right, bottom = region.corners
            assert 0 <= left < right <= size[1]
            assert 0 <= top < bottom <= size[0]
            assert region.area <= found.size


@pytest.mark.parametrize(
    "counts", ["o" * 1000, "P" * 20 + "0", "\x00", "é", "P", "1", 3, None, [1.5], [True, 3], [-1, 5]]
)
def test_what_is_no_run_is_an_error(counts: object) -> None:
    with pytest.raises(ValueError, match="mask"):
        region_of({"size": [2, 2], "counts": counts})

"""Boxes as files state them, and their conversion: cut at the borders of their images, unusable boxes dropped.

Counted over all files of a dataset, and part of its info:

| count | meaning |
|---|---|
| boxes | objects that are kept |
| crowd_regions | boxes around many objects, or a difficult object: not trained on; detections there are never wrong |
| images_without_boxes | kept as images without objects |
| boxes_cut | reached beyond their image and were cut at its border |
| boxes_outside | lay beyond their image: dropped |
| boxes_degenerate | had no width or no height: dropped |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from workers.data.dataset import Labels
from workers.data.detection.dataset import Truth

COUNTS = ("boxes", "crowd_regions", "images_without_boxes", "boxes_cut", "boxes_outside", "boxes_degenerate")
_ROUNDING = 0.05
"""Distance in px by which coordinates rounded to two decimals may exceed the border."""

Corners = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


@dataclass(frozen=True, slots=True)
class StatedObjects:
    """The a objects of n images as a file states them, in its order."""

    image: NDArray[np.intp]
    """(a,) index of the image of each."""
    labels: Labels
    """(a,) index among the classes that the file declares."""
    corners: NDArray[np.float64]
    """(a, 4): x0, y0, x1, y1 in px, or as shares of the image's width and height."""
    crowd: NDArray[np.bool_]
    """(a,): many objects in a box, or an object that need not be found."""
    areas: NDArray[np.float64]
    """(a,) px² of each object, 0: as large as its box."""
    shares: bool = False
    """True if the corners are shares of the image's sides."""

    @classmethod
    def of(
        cls,
        image: Sequence[int],
        labels: Sequence[int],
        corners: Sequence[Corners],
        crowd: Sequence[bool] | None = None,
        areas: Sequence[float] | None = None,
        *,
        shares: bool = False,
    ) -> Self:
        """Return the columns of rows. By default, there are no crowds, and objects are as large as their boxes."""
        count = len(image)
        return cls(
            np.array(image, np.intp),
            np.array(labels, np.int64),
            np.array(corners, np.float64).reshape(-1, 4),
            np.zeros(count, bool) if crowd is None else np.array(crowd, bool),
            np.zeros(count) if areas is None else np.array(areas, np.float64),
            shares=shares,
        )

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> StatedObjects:
        labels, corners, crowd, areas = self.labels[index], self.corners[index], self.crowd[index], self.areas[index]
        return StatedObjects(self.image[index], labels, corners, crowd, areas, shares=self.shares)

    def in_px(self, sizes: NDArray[np.int64]) -> StatedObjects:
        """Return the objects with corners in px, for images of these heights and widths (n, 2)."""
        if not self.shares:
            return self
        return replace(self, corners=self.corners * _limits(sizes[self.image]), shares=False)

    def relabelled(self, labels: Labels) -> StatedObjects:
        """Return the objects with new labels (K,) of the file's classes, without those whose new label is negative."""
        renamed = replace(self, labels=labels[self.labels] if len(self.labels) else self.labels)
        return renamed.take(renamed.labels >= 0)

    def without_copies(self) -> tuple[StatedObjects, NDArray[np.intp]]:
        """Return the objects without exact repetitions, and the images (r,) of the repetitions."""
        rows = np.column_stack([self.image, self.labels, self.corners, self.crowd])  # (a, 7)
        _, first = np.unique(rows, axis=0, return_index=True)
        kept = np.zeros(len(rows), bool)
        kept[first] = True
        return (self if kept.all() else self.take(kept)), self.image[~kept]


def placed(objects: StatedObjects, sizes: NDArray[np.int64]) -> tuple[StatedObjects, Counter[str]]:
    """Return the objects inside images of these heights and widths (n, 2), in px, and how many were cut or dropped."""
    objects = objects.in_px(sizes)
    inside, fate = _inside(objects.corners, sizes[objects.image])  # (a, 4), masks (a,)
    areas = (inside[:, 2:] - inside[:, :2]).prod(1)  # (a,)
    # (a,); a cut box loses its stated area.
    areas = np.where((objects.areas > 0) & ~fate["boxes_cut"], objects.areas, areas)
    kept = replace(objects, corners=inside, areas=areas).take(~(fate["boxes_degenerate"] | fate["boxes_outside"]))
    return kept, Counter({name: int(which.sum()) for name, which in fate.items()})


def grouped(objects: StatedObjects, images: int) -> tuple[Truth, ...]:
    """Return the truth of each image, from objects in px inside their images."""
    order = np.argsort(objects.image, kind="stable")  # (a,), by image
    ends = np.searchsorted(objects.image[order], np.arange(images + 1))  # (n + 1,)
    rows = [order[first:last] for first, last in pairwise(ends)]
    return tuple(
        Truth(objects.corners[row], objects.labels[row], objects.crowd[row], objects.areas[row])
        for row in rows
    )


def counts_of(truths: Sequence[Truth], fates: Mapping[str, int]) -> Counter[str]:
    """Return the counts (`COUNTS`) of truths, and of the objects that were cut or dropped."""
    counts = Counter(dict.fromkeys(COUNTS, 0))
    counts.update(fates)
    for truth in truths:
        crowds = int(truth.crowd.sum())
        counts["crowd_regions"] += crowds
        counts["boxes"] += len(truth.crowd) - crowds
        counts["images_without_boxes"] += crowds == len(truth.crowd)
    return counts


def _inside(
    corners: NDArray[np.float64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], Mapping[str, NDArray[np.bool_]]]:
    """Return boxes (a, 4) cut at the borders of images (a, 2), and masks (a,) of boxes cut, outside or degenerate."""
    inside = np.clip(corners, 0, _limits(sizes))
    degenerate = _is_empty(corners)  # (a,)
    outside = ~degenerate & _is_empty(inside)  # (a,)
    moved: NDArray[np.bool_] = np.abs(inside - corners).max(1) > _ROUNDING  # (a,)
    cut = ~degenerate & ~outside & moved  # (a,)
    return inside, {"boxes_degenerate": degenerate, "boxes_outside": outside, "boxes_cut": cut}


def _is_empty(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each box (a, 4) has no width or no height, (a,)."""
    empty: NDArray[np.bool_] = (corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1])
    return empty


def _limits(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return width, height, width, height (a, 4) of heights and widths (a, 2)."""
    return sizes[:, [1, 0, 1, 0]]

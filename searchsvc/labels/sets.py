"""Label sets: the correct classes of each image; an empty set if nobody could tell.

| symbol | meaning | shape |
|---|---|---|
| n | images | |
| L | labels of all images together | |
| offsets | the start of each image's set in `classes`, then the end of the last set | (n + 1,) |
| classes | the concatenated sets, each sorted | (L,) |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Number of label sets, and their sizes."""

    lists: int
    empty: int
    labels: int
    """Number of labels in all sets together."""
    classes: int
    """Number of different classes in all sets together."""
    sizes: Mapping[int, int]
    """Number of sets by their size, including size 0."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelSets:
    """The label sets of n images, with classes as indices."""

    offsets: Indices
    classes: Indices

    @classmethod
    def of(cls, sets: Iterable[Iterable[int]]) -> Self:
        """Return label sets from a list of classes per image; a class that a list repeats counts once."""
        lists = [list(classes) for classes in sets]
        images = np.repeat(np.arange(len(lists)), [len(classes) for classes in lists])
        return cls.of_pairs(images, np.fromiter(chain.from_iterable(lists), np.int64), len(lists))

    @classmethod
    def of_pairs(cls, images: NDArray[np.integer], classes: NDArray[np.integer], count: int) -> Self:
        """Return label sets from pairs (image, class) (m,), (m,) in any order; `count`: number of images."""
        span = int(classes.max(initial=0)) + 1
        keys = np.unique(images.astype(np.int64) * span + classes)
        counts = np.bincount(keys // span, minlength=count)
        return cls(np.concatenate(([0], np.cumsum(counts))), keys % span)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Indices:
        """(n,) number of labels of each image."""
        return np.diff(self.offsets)

    @property
    def images(self) -> Indices:
        """(L,) image of each entry of `classes`."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def statistics(self) -> Statistics:
        counts = self.counts
        sizes, images = np.unique(counts, return_counts=True)
        return Statistics(
            lists=len(self),
            empty=int((counts == 0).sum()),
            labels=len(self.classes),
            classes=len(np.unique(self.classes)),
            sizes=dict(zip(sizes.tolist(), images.tolist(), strict=True)),
        )

    def contain(self, classes: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return whether each of `classes` (n, k) is in the set of its image, as a mask (n, k)."""
        span = 1 + int(max(self.classes.max(initial=0), classes.max(initial=0)))
        keys = self.images * span + self.classes  # (L,) sorted
        queried = np.arange(len(self))[:, None] * span + classes  # (n, k)
        places = np.searchsorted(keys, queried)
        contained: NDArray[np.bool_] = np.append(keys, -1)[places] == queried
        return contained

    def take(self, index: NDArray[np.integer]) -> LabelSets:
        """Return the sets of the images at `index` (m,), in that order."""
        counts = self.counts[index]
        ends = np.cumsum(counts)
        within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
        rows = np.repeat(self.offsets[:-1][index], counts) + within
        return LabelSets(np.concatenate(([0], ends)), self.classes[rows])

    def lists(self) -> list[list[int]]:
        """Return the sets as a list of classes per image."""
        return [classes.tolist() for classes in np.split(self.classes, self.offsets[1:-1])] if len(self) else []

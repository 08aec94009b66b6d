"""Label sets: of each image the classes that are right, none where nobody could tell.

| symbol | meaning | shape |
|---|---|---|
| n | images | |
| L | labels of all images together | |
| offsets | where the set of each image begins in `classes`, and where the last ends | (n + 1,) |
| classes | the sets one after the other, each sorted | (L,) |
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
    """How many sets there are, and of what size."""

    lists: int
    empty: int
    labels: int
    """Of all sets together."""
    classes: int
    """Different ones among them."""
    sizes: Mapping[int, int]
    """Sets by their number of labels, those of none included."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelSets:
    """The classes of n images, as indices."""

    offsets: Indices
    classes: Indices

    @classmethod
    def of(cls, sets: Iterable[Iterable[int]]) -> Self:
        """From a list per image; what stands in one twice counts once."""
        lists = [list(one) for one in sets]
        images = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        return cls.of_pairs(images, np.fromiter(chain.from_iterable(lists), np.int64), len(lists))

    @classmethod
    def of_pairs(cls, images: NDArray[np.integer], classes: NDArray[np.integer], count: int) -> Self:
        """From pairs of an image and a class (m,), (m,) in any order; `count`: of all images."""
        span = int(classes.max(initial=0)) + 1
        keys = np.unique(images.astype(np.int64) * span + classes)
        counts = np.bincount(keys // span, minlength=count)
        return cls(np.concatenate(([0], np.cumsum(counts))), keys % span)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> Indices:
        """(n,) labels of each image."""
        return np.diff(self.offsets)

    @property
    def images(self) -> Indices:
        """(L,) the image that each of `classes` belongs to."""
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
        """(n, k): whether each of `classes` (n, k) is in the set of its image."""
        span = 1 + int(max(self.classes.max(initial=0), classes.max(initial=0)))
        keys = self.images * span + self.classes  # (L,) sorted
        wanted = np.arange(len(self))[:, None] * span + classes  # (n, k)
        found = np.searchsorted(keys, wanted)
        contained: NDArray[np.bool_] = np.append(keys, -1)[found] == wanted
        return contained

    def take(self, index: NDArray[np.integer]) -> LabelSets:
        """The sets of some images, in the order of `index` (m,)."""
        counts = self.counts[index]
        ends = np.cumsum(counts)
        within = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
        rows = np.repeat(self.offsets[:-1][index], counts) + within
        return LabelSets(np.concatenate(([0], ends)), self.classes[rows])

    def lists(self) -> list[list[int]]:
        """A list per image."""
        return [one.tolist() for one in np.split(self.classes, self.offsets[1:-1])] if len(self) else []

"""A classification dataset in memory, and its split into train, validation and test.

The split belongs to the dataset, not to a job: it follows from the labels and `split_seed` alone, so that all trials,
and all jobs on the same dataset section, measure on the same images and keep the same test images unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.tasks import DatasetInfo

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Images (n, c, h, w) and the index of the class of each (n,)."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.intp]) -> Split:
        return Split(np.ascontiguousarray(self.images[index]), self.labels[index])


@dataclass(frozen=True, slots=True)
class RawDataset:
    """What a format reads: the dataset's own test split where it has one."""

    name: str
    classes: tuple[str, ...]
    all: Split
    test: Split | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three splits; train holds its images so that the first share of each class is the subset of that fraction."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    """Of each channel, over the train split, in units of 0 to 255."""
    std: tuple[float, ...]

    @property
    def info(self) -> DatasetInfo:
        channels, height, width = self.train.images.shape[1:]
        sizes = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        return DatasetInfo(self.name, self.classes, (channels, height, width), sizes)

    def subset(self, fraction: float) -> Split:
        """A stratified part of train: at least one image of each class, and all of what a smaller fraction gives."""
        if fraction == 1.0:
            return self.train
        kept = [index[: math.ceil(fraction * len(index))] for index in _by_class(self.train.labels)]
        return self.train.take(np.sort(np.concatenate(kept)))


def split(raw: RawDataset, *, validation: float, test: float, seed: int) -> Dataset:
    """Stratified: each class gives each split its share of images, and at least one where it has three (two) or more.

    `validation` is the share of what is not test; `test` is not used where the dataset has a test split of its own.
    """
    parts: dict[str, list[NDArray[np.intp]]] = {"train": [], "validation": [], "test": []}
    for label, index in enumerate(_by_class(raw.all.labels)):
        order = np.random.default_rng([seed, label]).permutation(index)
        tested = 0 if raw.test is not None else _share(test, len(order), keep=2)
        validated = _share(validation, len(order) - tested, keep=1)
        parts["test"].append(order[:tested])
        parts["validation"].append(order[tested : tested + validated])
        parts["train"].append(order[tested + validated :])
    splits = {name: raw.all.take(np.concatenate(index)) for name, index in parts.items()}
    mean, std = _statistics(splits["train"].images)
    return Dataset(raw.name, raw.classes, splits["train"], splits["validation"], raw.test or splits["test"], mean, std)


def _by_class(labels: Labels) -> Iterator[NDArray[np.intp]]:
    """Positions of each class, in their order."""
    order = np.argsort(labels, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _share(share: float, count: int, keep: int) -> int:
    """The share of `count`, rounded; at least one, and leaving at least `keep`."""
    return max(0, min(max(1, round(share * count)), count - keep))


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from exact histograms; a constant channel has a deviation of 1."""
    levels = np.arange(256)
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        mean = float(counts @ levels / counts.sum())
        variance = float(counts @ (levels - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(math.sqrt(variance) or 1.0)
    return tuple(means), tuple(deviations)

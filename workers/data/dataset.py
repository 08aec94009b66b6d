"""A classification dataset in memory, and its split into train, validation and test.

The split belongs to the dataset, not to a job: it depends only on the labels and `split_seed`, so that all trials,
and all jobs on the same dataset section, measure on the same images and keep the same test images unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.trial_task import DatasetInfo, ValidationSplit
from searchsvc.labels import LabelSets
from workers.data.imagefiles import ImageFiles, Roots

_STATISTICS_IMAGES, _STATISTICS_PART = 4096, 128
"""Images in files that mean and deviation are computed from, evenly spaced, and how many at a time; in memory, all."""

_UNNAMED = ValidationSplit((), np.empty(0, np.int64), np.empty(0, np.int64), (), 0)

Images = NDArray[np.uint8] | ImageFiles
Labels = NDArray[np.int64]
Targets = Labels | NDArray[np.float32]
"""Labels (n,), or shares of the classes (n, K)."""


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The files that the n images of a split come from, one each."""

    paths: tuple[Path, ...]
    within: Roots = None
    """Folders that the files must lie below, with links followed; None: anywhere."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images (n, c, h, w), in memory or in their files, and the index of the class of each (n,)."""

    images: Images
    labels: Labels
    names: tuple[str, ...] | None = None
    """Paths of the images within the folder of the split; None if they only have numbers."""
    files: SplitFiles | None = None
    """The files that the images come from; None if they have none of their own."""
    numbers: NDArray[np.intp] | None = None
    """(n,) positions of the images in the split that they are drawn from; None if they are drawn from no other."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.intp]) -> Split:
        names = None if self.names is None else tuple(self.names[place] for place in index)
        files = self.files
        if files is not None:
            files = SplitFiles(tuple(files.paths[place] for place in index), files.within)
        numbers = index if self.numbers is None else self.numbers[index]
        return Split(self.images.take(index, axis=0), self.labels[index], names, files, numbers)

    def named(self, places: Iterable[int]) -> list[str]:
        """Return the names of the images at `places`, or their numbers before any split."""
        if self.names is not None:
            return [self.names[place] for place in places]
        return [str(place if self.numbers is None else self.numbers[place]) for place in places]


@dataclass(frozen=True, slots=True)
class RawDataset:
    """A dataset before the split, with the validation and test splits that its files contain, if any."""

    name: str
    classes: tuple[str, ...]
    all: Split
    """The images of which the other splits are shares."""
    test: Split | None = None
    validation: Split | None = None
    notes: tuple[str, ...] = ()
    """Sentences about what the files contain and is not used, or converted."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three splits; train is ordered so that the first share of each class is the subset of that fraction."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    """Mean of each channel over the train split, in units of 0 to 255."""
    std: tuple[float, ...]
    peak: int
    """The largest value of a training image: 255 for most, 16 for `digits`."""
    origins: NDArray[np.intp] | None = None
    """Positions of the training images among all images before the split; None if there was no split."""
    validation_images: ValidationSplit = _UNNAMED
    """Names of the images of `validation`."""
    reassessed: LabelSets | None = None
    """Label sets of `validation`; None without a label file."""
    notes: tuple[str, ...] = ()
    """Sentences about what the files contain and is not used, or converted."""

    @property
    def info(self) -> DatasetInfo:
        channels, height, width = self.train.images.shape[1:]
        sizes = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        return DatasetInfo(self.name, self.classes, (channels, height, width), sizes, notes=self.notes)

    def subset(self, fraction: float) -> Split:
        """Return a stratified part of train: at least one image of each class, and all images of smaller fractions."""
        if fraction == 1.0:
            return self.train
        return self.train.take(leading(self.train.labels, fraction))

    def rest(self, fraction: float) -> NDArray[np.intp]:
        """Return the positions of the images of train outside the `subset` of the fraction."""
        return outside(leading(self.train.labels, fraction), len(self.train))


def split(raw: RawDataset, *, validation: float, test: float, seed: int) -> Dataset:
    """Split by `split_positions`; a share is not used if the dataset has its own split."""
    own = {"validation": raw.validation, "test": raw.test}
    shares = {"validation": validation, "test": test}
    positions = split_positions(
        raw.all.labels, **{name: shares[name] if part is None else None for name, part in own.items()}, seed=seed
    )
    parts = {name: raw.all.take(index) for name, index in positions.items()}
    parts |= {name: part for name, part in own.items() if part is not None}
    mean, std, peak = _statistics(parts["train"].images)
    images = _validation_images(raw.all, positions["validation"], raw.classes)
    if raw.validation is not None:
        images = _validation_images(raw.validation, np.arange(len(raw.validation)), raw.classes)
    return Dataset(
        raw.name,
        raw.classes,
        parts["train"],
        parts["validation"],
        parts["test"],
        mean=mean,
        std=std,
        peak=peak,
        origins=positions["train"],
        validation_images=images,
        notes=raw.notes,
    )


def _validation_images(source: Split, index: NDArray[np.intp], classes: tuple[str, ...]) -> ValidationSplit:
    """Return names and numbers of the images at `index` of the split that they are drawn from.

    Files are numbered by file name, in any folder, as in ImageNet's lists.
    """
    total, positions = len(source), index.astype(np.int64)
    if source.names is None:
        names, numbers = tuple(map(str, positions.tolist())), positions
    else:
        paths = source.names
        order = sorted(range(total), key=lambda place: (paths[place].rpartition("/")[2], paths[place]))
        names, numbers = tuple(paths[place] for place in positions), np.argsort(order)[positions]  # ranks of the names
    return ValidationSplit(names, numbers, source.labels[index], classes, total)


def split_positions(
    labels: Labels, *, validation: float | None, test: float | None, seed: int
) -> dict[str, NDArray[np.intp]]:
    """Return the positions of the images of train, validation and test: a share of each class, drawn by `seed`.

    A class with three (two) or more images gives each split at least one. `validation` is the share of the images
    outside the test split; a split whose share is None is empty.
    """
    parts: dict[str, list[NDArray[np.intp]]] = {"train": [], "validation": [], "test": []}
    for label, index in enumerate(_by_class(labels)):
        order = np.random.default_rng([seed, label]).permutation(index)  # (count of the class,)
        tested = _share(test, len(order), keep=2)
        validated = _share(validation, len(order) - tested, keep=1)
        parts["test"].append(order[:tested])
        parts["validation"].append(order[tested : tested + validated])
        parts["train"].append(order[tested + validated :])
    return {name: np.concatenate(index) for name, index in parts.items()}


def leading(labels: Labels, fraction: float) -> NDArray[np.intp]:
    """Return the positions of the first share of each class, at least one each, in order."""
    parts = [index[: math.ceil(fraction * len(index))] for index in _by_class(labels)]
    return np.sort(np.concatenate(parts))


def outside(positions: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Return the other positions below `count`, in order."""
    return np.setdiff1d(np.arange(count), positions, assume_unique=True)


def _by_class(labels: Labels) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of each class, in order."""
    order = np.argsort(labels, kind="stable")  # (n,), by class
    yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _share(share: float | None, count: int, keep: int) -> int:
    """Return the share of `count`, rounded, at least 1, leaving at least `keep`; 0 for None."""
    return 0 if share is None else max(0, min(max(1, round(share * count)), count - keep))


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Return mean and standard deviation of each channel, and the largest value, from exact histograms.

    Files are only sampled, so they count as if they contained any value.
    """
    counts = _sampled_histograms(images) if isinstance(images, ImageFiles) else histograms(images)  # (c, 256)
    peak = 255 if isinstance(images, ImageFiles) else int(np.flatnonzero(counts.sum(0))[-1])
    return *mean_and_deviation(counts), peak


def mean_and_deviation(counts: NDArray[np.intp]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both for each channel, from the counts of its values (c, 256); a constant channel gets the deviation 1."""
    shares = counts / counts.sum(1, keepdims=True)  # (c, 256)
    levels = np.arange(256)  # (256,)
    means = shares @ levels  # (c,)
    variances = (shares * (levels - means[:, None]) ** 2).sum(1)  # (c,)
    deviations = np.where(variances > 0, np.sqrt(variances), 1.0)  # (c,)
    return tuple(means.tolist()), tuple(deviations.tolist())


def histograms(images: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return how often each channel has each value, (c, 256)."""
    return np.stack([np.bincount(channel.ravel(), minlength=256) for channel in images.swapaxes(0, 1)])


def _sampled_histograms(files: ImageFiles) -> NDArray[np.intp]:
    """Return histograms of evenly spaced images, with a few of them in memory at a time."""
    sample = np.unique(np.linspace(0, len(files.paths) - 1, _STATISTICS_IMAGES, dtype=np.intp))
    parts = np.array_split(sample, math.ceil(len(sample) / _STATISTICS_PART))
    total = np.zeros((files.decoder.channels, 256), np.intp)  # (c, 256)
    for part in parts:
        total += histograms(files[part])
    return total

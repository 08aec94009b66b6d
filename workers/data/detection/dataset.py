"""A detection dataset, and its split into train, validation and test.

Boxes are (x0, y0, x1, y1) in px of the image's file, whatever size it is decoded to. The split belongs to the dataset,
not to a job: it depends only on the annotations and `split_seed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.errors import InvalidInput
from workers.data.dataset import (
    Labels,
    SplitFiles,
    histograms,
    leading,
    mean_and_deviation,
    outside,
    split_positions,
)

CHANNELS = 3
_STATISTICS_IMAGES = 512
"""Number of images that mean and deviation are computed from, evenly spaced."""


class Pictures(Protocol):
    """Decoded images, or files that are decoded on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        """Return (3, h, w) in the file's aspect ratio. Raises InvalidInput that names a file which cannot be decoded.
        """

    def take(self, index: NDArray[np.intp]) -> Pictures:
        """Return the images at positions `index`."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images in memory, (3, h, w) each, of different sizes."""

    images: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        return self.images[position]

    def take(self, index: NDArray[np.intp]) -> Decoded:
        return Decoded(tuple(self.images[position] for position in index))


@dataclass(frozen=True, slots=True)
class Truth:
    """The m annotated boxes of an image."""

    boxes: NDArray[np.float64]
    """(m, 4): x0, y0, x1, y1 in px of the file, inside the image."""
    labels: Labels
    """(m,), indices of the classes."""
    crowd: NDArray[np.bool_]
    """(m,): the box surrounds many objects without boxes of their own. Crowds are not trained on, and never missed."""
    areas: NDArray[np.float64]
    """(m,) px², of the objects if the file states them, otherwise of the boxes: they decide between small and large."""

    @classmethod
    def of(cls, boxes: NDArray[np.float64], labels: Labels) -> Self:
        """Return separate objects, as large as their boxes."""
        return cls(boxes, labels, np.zeros(len(labels), bool), (boxes[:, 2:] - boxes[:, :2]).prod(1))

    @property
    def classes(self) -> set[int]:
        """Labels of the objects without crowds."""
        return set(self.labels[~self.crowd].tolist())


@dataclass(frozen=True, slots=True)
class Scenes:
    """n images with their annotations."""

    pictures: Pictures
    sizes: NDArray[np.int64]
    """(n, 2): height and width of each file, in px."""
    truths: tuple[Truth, ...]
    names: tuple[str, ...]
    """Names of the images' files."""
    files: SplitFiles | None = None
    """The files that the images come from; None if they have none of their own."""

    def __len__(self) -> int:
        return len(self.truths)

    def size_of(self, position: int) -> tuple[int, int]:
        """Return height and width of a file, in px."""
        height, width = self.sizes[position].tolist()
        return height, width

    def take(self, index: NDArray[np.intp]) -> Scenes:
        truths, names = (tuple(row[position] for position in index) for row in (self.truths, self.names))
        files = self.files
        if files is not None:
            files = SplitFiles(tuple(files.paths[position] for position in index), files.within)
        return Scenes(self.pictures.take(index), self.sizes[index], truths, names, files)


@dataclass(frozen=True, slots=True)
class RawScenes:
    """A dataset before the split, with the splits that have files of their own, if any."""

    name: str
    classes: tuple[str, ...]
    side: int
    """Side in px of the square into which images are fitted for a network, unless the recipe chooses another."""
    all: Scenes
    validation: Scenes | None
    test: Scenes | None
    counts: Mapping[str, int]
    """Counts of all boxes and images in the files; see `workers.data.detection.instances`."""
    notes: tuple[str, ...] = ()
    """Sentences about what the files contain and is not used, or converted."""


@dataclass(frozen=True, slots=True)
class DetectionDataset:
    """Three splits, and counts of the boxes and images in the files."""

    name: str
    classes: tuple[str, ...]
    side: int
    train: Scenes
    validation: Scenes
    test: Scenes
    mean: tuple[float, ...]
    """Mean of each channel over the train split, in units of 0 to 255."""
    std: tuple[float, ...]
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()
    """Sentences about what the files contain and is not used, or converted."""

    @property
    def info(self) -> DatasetInfo:
        sizes = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        shape = CHANNELS, self.side, self.side
        return DatasetInfo(self.name, self.classes, shape, sizes, self.counts, notes=self.notes)

    def subset(self, fraction: float) -> Scenes:
        """Return a part of train with the same mix of classes, which contains the parts of all smaller fractions."""
        if fraction == 1.0:
            return self.train
        return self.train.take(self._leading(fraction))

    def rest(self, fraction: float) -> Scenes:
        """Return the images of train outside the `subset` of the fraction."""
        return self.train.take(outside(self._leading(fraction), len(self.train)))

    def _leading(self, fraction: float) -> NDArray[np.intp]:
        return leading(strata(self.train.truths, len(self.classes)), fraction)


def split(raw: RawScenes, *, validation: float, test: float, seed: int) -> DetectionDataset:
    """Split by image: `split_positions` of `strata`; a share is not used if the split has files of its own.

    Raises InvalidInput if no image of a class is left to train on, or no box to measure on.
    """
    shares = {"validation": None if raw.validation else validation, "test": None if raw.test else test}
    positions = split_positions(strata(raw.all.truths, len(raw.classes)), **shares, seed=seed)
    parts = {name: raw.all.take(index) for name, index in positions.items()}
    parts |= {name: own for name, own in (("validation", raw.validation), ("test", raw.test)) if own}
    _check_learnable(parts["train"], raw.classes)
    _check_measurable(parts)
    mean, std = _statistics(parts["train"].pictures)
    return DetectionDataset(
        raw.name, raw.classes, raw.side, **parts, mean=mean, std=std, counts=raw.counts, notes=raw.notes
    )


def strata(truths: Sequence[Truth], classes: int) -> Labels:
    """Return the rarest class of each image, (n,): it is in the fewest images; the first of equals; `classes` if none.

    Splits that take a share of each stratum also have a share of the rare classes.
    """
    present = [truth.classes for truth in truths]
    images = np.bincount([label for one in present for label in one], minlength=classes)  # (K,): images with each class
    rarest = [min(one, key=lambda label: (images[label], label), default=classes) for one in present]
    return np.array(rarest, np.int64)


def images_of_classes(truths: Sequence[Truth], classes: int) -> list[int]:
    """Return the number of images with each class, without crowds."""
    counts: list[int] = np.bincount([label for truth in truths for label in truth.classes], minlength=classes).tolist()
    return counts


def _check_learnable(train: Scenes, classes: tuple[str, ...]) -> None:
    images = images_of_classes(train.truths, len(classes))
    missing = [name for name, count in zip(classes, images, strict=True) if not count]
    if missing:
        raise InvalidInput.at(
            "/split_seed", f"with this seed no box of {', '.join(missing[:10])} is left to train on; use another"
        )


def _check_measurable(parts: Mapping[str, Scenes]) -> None:
    for name in ("validation", "test"):
        if not any(truth.classes for truth in parts[name].truths):
            message = f"the {len(parts[name])} image(s) of the {name} split have no box to measure on"
            raise InvalidInput.at(f"/{name}", f"{message}; it needs more images, or its own files")


def _statistics(pictures: Pictures) -> tuple[tuple[float, ...], tuple[float, ...]]:
    sample = np.unique(np.linspace(0, len(pictures) - 1, _STATISTICS_IMAGES, dtype=np.intp))
    total = np.zeros((CHANNELS, 256), np.intp)  # (c, 256)
    for position in sample.tolist():
        total += histograms(pictures[position][None])  # of an image (1, c, h, w)
    return mean_and_deviation(total)

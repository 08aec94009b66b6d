"""Images without labels for classification, from which a student learns in addition to labelled images.

They are `rest`, the training images outside the trial's data fraction, or the images of a section: a folder of images
(`format: images`), a file without labels if its format reads such files (`DatasetFormat`), or all images of a labelled
dataset. If there are labels, they only measure the quality of pseudo-labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from workers.data import classification as data
from workers.data.dataset import Dataset, Images, Labels
from workers.data.imagefiles import Decoder, images_of
from workers.data.leakage import Pixels, check_apart
from workers.data.options import ImagesOptions, nothing_left
from workers.data.unlabelled import UnlabelledLoader, images_below, labels_by_name

_TOGETHER = 256
"""Number of images that are decoded at a time."""


@dataclass(frozen=True, slots=True)
class UnlabelledImages:
    """n images, with their labels if these are known."""

    images: Images
    places: NDArray[np.intp]
    """(n,): position of each among all images of the folder, the file or the dataset."""
    names: tuple[str, ...] | None
    """Paths of the files, if images have files: relative to the folder, or to the folder of the classes."""
    truth: Labels | None
    """(n,): label of each, UNKNOWN for classes that the dataset does not have; None if labels are unknown."""

    def __len__(self) -> int:
        return len(self.places)


def _rest(dataset: Dataset, fraction: float) -> UnlabelledImages:
    index = dataset.rest(fraction)  # (m,): positions in train
    if not len(index):
        raise nothing_left(fraction)
    images = dataset.train.images.take(index, axis=0)
    places = index if dataset.origins is None else dataset.origins[index]  # (m,): positions in the whole dataset
    names = None if dataset.train.names is None else tuple(dataset.train.names[position] for position in index)
    return UnlabelledImages(images, places, names, dataset.train.labels[index])


def _read(section: Mapping[str, Any], dataset: Dataset) -> UnlabelledImages:
    unlabelled = _images(section, dataset)
    shape, dataset_shape = unlabelled.images.shape[1:], dataset.info.shape
    if shape != dataset_shape:
        message = f"its images are {shape} as (channels, height, width), those of the dataset {dataset_shape}"
        raise InvalidInput.at("", message)
    names = unlabelled.names or tuple(f"image {place}" for place in unlabelled.places)
    held_out = {"validation": _pixels(dataset.validation.images), "test": _pixels(dataset.test.images)}
    check_apart(_pixels(unlabelled.images), names, held_out)
    return unlabelled


def _images(section: Mapping[str, Any], dataset: Dataset) -> UnlabelledImages:
    if (folder := data.CATALOGUE.unlabelled_folder(section)) is not None:
        return _below(folder, *dataset.info.shape)
    if (images := data.CATALOGUE.unlabelled_images(section)) is not None:
        return UnlabelledImages(images, np.arange(len(images)), None, None)
    raw = data.raw(data.CATALOGUE.fitted(section, dataset.info.shape))
    labels = labels_by_name(raw.classes, dataset.classes)[raw.all.labels]  # (n,)
    return UnlabelledImages(raw.all.images, np.arange(len(raw.all)), raw.all.names, labels)


def _below(options: ImagesOptions, channels: int, height: int, width: int) -> UnlabelledImages:
    paths, names = images_below(options)
    if height != width or channels not in (1, 3):
        taken = f"the dataset has images of {width}x{height} px and {channels} channel(s)"
        raise InvalidInput.at("/format", f"files become square images of 1 or 3 channels, but {taken}: use an npz")
    images, _ = images_of(paths, Decoder(height, channels == 3, options.within), options.memory_bytes)
    return UnlabelledImages(images, np.arange(len(paths)), names, None)


def _pixels(images: Images) -> Pixels:
    """Yield the images, with a few of them in memory at a time."""
    count = images.shape[0]
    for index in np.array_split(np.arange(count), math.ceil(count / _TOGETHER) or 1):
        yield from images[index]


load = UnlabelledLoader(data.CATALOGUE, _rest, _read).load

"""Images without boxes for detection, from which a student learns in addition to annotated images.

They are `rest`, the training images outside the trial's data fraction, or the images of a section: a folder of images
(`format: images`), a folder without annotations if its format reads such folders (`DatasetFormat`), or the training
images of an annotated dataset. If there are boxes, they only measure the quality of pseudo-labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workers.data import detection as data
from workers.data.detection import DetectionDataset, Scenes, Truth
from workers.data.detection.picturefiles import PictureFiles, bytes_of, sizes_of
from workers.data.imagefiles import headers_of
from workers.data.leakage import Pixels, check_apart
from workers.data.options import ImagesOptions, nothing_left
from workers.data.unlabelled import UnlabelledLoader, images_below, labels_by_name


@dataclass(frozen=True, slots=True)
class UnlabelledScenes:
    """n images, with their annotations if these are known."""

    scenes: Scenes
    """Labels refer to the classes of the dataset; objects of other classes are UNKNOWN."""
    annotated: bool
    """True if the truths of the scenes are known; otherwise they are empty."""


def _rest(dataset: DetectionDataset, fraction: float) -> UnlabelledScenes:
    scenes = dataset.rest(fraction)
    if not len(scenes):
        raise nothing_left(fraction)
    return UnlabelledScenes(scenes, annotated=True)


def _read(section: Mapping[str, Any], dataset: DetectionDataset) -> UnlabelledScenes:
    unlabelled = _images(section, dataset)
    held_out = {"validation": _pixels(dataset.validation), "test": _pixels(dataset.test)}
    check_apart(_pixels(unlabelled.scenes), unlabelled.scenes.names, held_out)
    return unlabelled


def _images(section: Mapping[str, Any], dataset: DetectionDataset) -> UnlabelledScenes:
    if (folder := data.CATALOGUE.unlabelled_folder(section)) is not None:
        return UnlabelledScenes(_below(folder, dataset.side), annotated=False)
    raw = data.raw(data.CATALOGUE.fitted(section, dataset.info.shape))
    labels = labels_by_name(raw.classes, dataset.classes)  # of each class that the section has
    truths = tuple(replace(truth, labels=labels[truth.labels]) for truth in raw.all.truths)
    return UnlabelledScenes(replace(raw.all, truths=truths), annotated=True)


def _below(options: ImagesOptions, side: int) -> Scenes:
    paths, names = images_below(options)
    sizes = sizes_of(headers_of(paths, options.within))
    files = PictureFiles(paths, side, options.within)
    pictures = files.decoded() if bytes_of(sizes, side) <= options.memory_bytes else files
    nothing = Truth.of(np.zeros((0, 4)), np.zeros(0, np.int64))
    return Scenes(pictures, sizes, (nothing,) * len(paths), names)


def _pixels(scenes: Scenes) -> Pixels:
    return (scenes.pictures[position] for position in range(len(scenes)))


load = UnlabelledLoader(data.CATALOGUE, _rest, _read).load

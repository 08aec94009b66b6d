"""Images without boxes for detection, from which a student learns in addition to annotated images.

They are `rest`, the training images outside the trial's data fraction, or the images of a section: a folder of images
(`format: images`), a folder without annotations if its format reads such folders (`DatasetFormat`), or the training
images of an annotated dataset. If there are boxes, they only measure the quality of pseudo-labels.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from searchsvc.errors import InvalidInput
from workers.data import detection as data
from workers.data.detection import DetectionDataset, Scenes, Truth
from workers.data.detection.picturefiles import PictureFiles, bytes_of, sizes_of
from workers.data.imagefiles import files_below
from workers.data.leakage import Pixels, check_apart
from workers.data.options import UNKNOWN, ImagesOptions, existing, nothing_left


@dataclass(frozen=True, slots=True)
class UnlabelledScenes:
    """n images, with their annotations if these are known."""

    scenes: Scenes
    """Labels refer to the classes of the dataset; objects of other classes are UNKNOWN."""
    annotated: bool
    """True if the truths of the scenes are known; otherwise they are empty."""


def load(section: Mapping[str, Any] | None, dataset: Mapping[str, Any], fraction: float) -> UnlabelledScenes:
    """See `workers.data.classification.unlabelled.load`."""
    if section is None:
        return _rest(data.load(dataset), fraction)
    try:
        return _read(json.dumps(dict(section)), json.dumps(dict(dataset)), data.CATALOGUE.stamp(section))
    except OSError as error:
        raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None


def _rest(dataset: DetectionDataset, fraction: float) -> UnlabelledScenes:
    scenes = dataset.rest(fraction)
    if not len(scenes):
        raise nothing_left(fraction)
    return UnlabelledScenes(scenes, annotated=True)


@lru_cache(maxsize=2)
def _read(section: str, dataset: str, stamp: Hashable) -> UnlabelledScenes:  # noqa: ARG001 - a key
    labelled = data.load(json.loads(dataset))
    unlabelled = _images(json.loads(section), labelled)
    held_out = {"validation": _pixels(labelled.validation), "test": _pixels(labelled.test)}
    check_apart(_pixels(unlabelled.scenes), unlabelled.scenes.names, held_out)
    return unlabelled


def _images(section: Mapping[str, Any], dataset: DetectionDataset) -> UnlabelledScenes:
    if (folder := data.CATALOGUE.unlabelled_folder(section)) is not None:
        return UnlabelledScenes(_below(folder, dataset.side), annotated=False)
    raw = data.raw(data.CATALOGUE.fitted(section, dataset.info.shape))
    by_name = {name: label for label, name in enumerate(dataset.classes)}
    labels = np.array([by_name.get(name, UNKNOWN) for name in raw.classes], np.int64)
    truths = tuple(replace(truth, labels=labels[truth.labels]) for truth in raw.all.truths)
    return UnlabelledScenes(replace(raw.all, truths=truths), annotated=True)


def _below(options: ImagesOptions, side: int) -> Scenes:
    root = existing(options.path, folder=True)
    paths = tuple(files_below(root))
    if not paths:
        raise InvalidInput.at("/path", f"{root} holds no image")
    sizes, files = sizes_of(paths), PictureFiles(paths, side)
    pictures = files.decoded() if bytes_of(sizes, side) <= options.memory_bytes else files
    nothing = Truth.of(np.zeros((0, 4)), np.zeros(0, np.int64))
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    return Scenes(pictures, sizes, (nothing,) * len(paths), names)


def _pixels(scenes: Scenes) -> Pixels:
    return (scenes.pictures[position] for position in range(len(scenes)))

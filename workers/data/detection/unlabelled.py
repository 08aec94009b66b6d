"""Images without boxes for detection: what a student learns from beside the annotated ones.

They are `rest`, the training images outside the trial's data fraction, or those of a section: a folder of images
(`format: images`), one in COCO's form with or without annotations, or any annotated dataset, whose training images are
taken. Where there are boxes, nothing is trained on them: they say how good pseudo labels are.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from searchsvc.domain.spec import parse_section
from searchsvc.errors import InvalidInput
from workers.data import detection as data
from workers.data.detection import DetectionDataset, Scenes, Truth
from workers.data.detection.coco import CocoOptions
from workers.data.detection.picturefiles import PictureFiles, bytes_of, sizes_of
from workers.data.imagefiles import files_below
from workers.data.leakage import Pixels, check_apart
from workers.data.options import IMAGES, UNKNOWN, ImagesOptions, existing, nothing_left, stamps


@dataclass(frozen=True, slots=True)
class UnlabelledScenes:
    """n images."""

    scenes: Scenes
    """Labels are those of the dataset, UNKNOWN where an object is of no class of it."""
    annotated: bool
    """Whether the truths of the scenes are known; otherwise they are empty."""


def load(section: Mapping[str, Any] | None, dataset: Mapping[str, Any], fraction: float) -> UnlabelledScenes:
    """See `workers.data.classification.unlabelled.load`."""
    if section is None:
        return _rest(data.load(dataset), fraction)
    try:
        return _read(json.dumps(dict(section)), json.dumps(dict(dataset)), _stamp(section))
    except OSError as error:
        raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None


def _rest(dataset: DetectionDataset, fraction: float) -> UnlabelledScenes:
    scenes = dataset.rest(fraction)
    if not len(scenes):
        raise nothing_left(fraction)
    return UnlabelledScenes(scenes, annotated=True)


@lru_cache(maxsize=2)
def _read(section: str, dataset: str, stamp: Hashable) -> UnlabelledScenes:  # noqa: ARG001 - a key
    beside = data.load(json.loads(dataset))
    found = _found(json.loads(section), beside)
    held_out = {"validation": _pixels(beside.validation), "test": _pixels(beside.test)}
    check_apart(_pixels(found.scenes), found.scenes.names, held_out)
    return found


def _stamp(section: Mapping[str, Any]) -> Hashable:
    options = _folder(section)
    return data.fingerprint(section) if options is None else stamps(files_below(existing(options.path, folder=True)))


def _folder(section: Mapping[str, Any]) -> ImagesOptions | None:
    """Of a section whose images have no annotations; None where they have."""
    if section.get("format") == IMAGES:
        return parse_section(ImagesOptions, section)
    if section.get("format") != "coco" or "annotations" in section:
        return None
    options = parse_section(CocoOptions, section)
    root = Path(options.path).expanduser()
    if (root / options.annotations).is_file():
        return None
    folder = root / options.images
    return ImagesOptions(
        format="images", path=str(folder if folder.is_dir() else root), memory_bytes=options.memory_bytes
    )


def _found(section: Mapping[str, Any], beside: DetectionDataset) -> UnlabelledScenes:
    if (options := _folder(section)) is not None:
        return UnlabelledScenes(_below(options, beside.side), annotated=False)
    size = {} if "name" in section and "format" not in section else {"size": beside.side}
    raw = data.raw({**size, **section})
    known = {name: label for label, name in enumerate(beside.classes)}
    labels = np.array([known.get(name, UNKNOWN) for name in raw.classes], np.int64)
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

"""The summary of a detection dataset, and samples of its images, for people who check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.task import DatasetSummary
from workers.data.dataset import Split
from workers.data.detection.dataset import DetectionDataset, Scenes
from workers.data.duplicates import duplicates
from workers.data.imagemodes import pillow
from workers.data.summaries import ImageFacts

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_SHOWN = 24


def splits_of(dataset: DetectionDataset) -> Mapping[str, Scenes]:
    """Return the splits of a dataset by name."""
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}


def summary(dataset: DetectionDataset) -> DatasetSummary:
    """Count the boxes of each class in each split. Raises InvalidInput that names files which cannot be used."""
    splits = splits_of(dataset)
    counts = {
        split: np.bincount(
            [label for truth in scenes.truths for label in truth.labels], minlength=len(dataset.classes)
        ).tolist()
        for split, scenes in splits.items()
    }
    files = [scenes.files for scenes in splits.values() if scenes.files is not None]
    if files:
        facts = ImageFacts.of_files(files)
    else:
        facts = ImageFacts.of_sizes(tuple(size) for scenes in splits.values() for size in scenes.sizes.tolist())
    classes = {split: dict(zip(dataset.classes, numbers, strict=True)) for split, numbers in counts.items()}
    return DatasetSummary("boxes", classes, facts.looked_at, facts.sizes, facts.modes)


def identical_images(dataset: DetectionDataset) -> tuple[str, ...]:
    """Return notes on images that are in two splits, or twice in a split. Raises OSError if a file cannot be read."""
    splits = {
        name: Split(np.empty((len(scenes), 0, 0, 0), np.uint8), np.zeros(len(scenes), np.int64), scenes.names, files)
        for name, scenes in splits_of(dataset).items()
        if (files := scenes.files) is not None
    }
    return duplicates(splits)


def samples(dataset: DetectionDataset) -> Iterator[tuple[PillowImage, NDArray[np.float64], list[int], str]]:
    """Yield images to train on, with boxes (m, 4) in px of the yielded image, labels, and the name of the file."""
    scenes = dataset.train
    places = np.unique(np.linspace(0, len(scenes) - 1, min(len(scenes), _SHOWN), dtype=np.intp)).tolist()
    for place in places:
        image = pillow().fromarray(np.ascontiguousarray(scenes.pictures[place].transpose(1, 2, 0)))
        height, width = scenes.size_of(place)
        ratio = np.array([image.width / width, image.height / height] * 2)
        truth = scenes.truths[place]
        yield image, truth.boxes * ratio, truth.labels.tolist(), scenes.names[place]

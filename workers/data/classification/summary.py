"""The summary of a classification dataset, and samples of its images, for people who check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from searchsvc.domain.task import DatasetSummary
from workers.data.classification.pictures import shown
from workers.data.dataset import Dataset, Split
from workers.data.summaries import ImageFacts

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_SHOWN = 60


def splits_of(dataset: Dataset) -> Mapping[str, Split]:
    """Return the splits of a dataset by name."""
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}


def summary(dataset: Dataset) -> DatasetSummary:
    """Count the images of each class in each split. Raises InvalidInput that names files which cannot be used."""
    splits = splits_of(dataset)
    counts = {name: np.bincount(part.labels, minlength=len(dataset.classes)).tolist() for name, part in splits.items()}
    files = [part.files for part in splits.values() if part.files is not None]
    if files:
        facts = ImageFacts.of_files(files)
    else:
        shapes = [part.images.shape for part in splits.values()]
        facts = ImageFacts.of_sizes((shape[2], shape[3]) for shape in shapes for _ in range(shape[0]))
    classes = {name: dict(zip(dataset.classes, numbers, strict=True)) for name, numbers in counts.items()}
    return DatasetSummary("images", classes, facts.looked_at, facts.sizes, facts.modes)


def samples(dataset: Dataset) -> Iterator[tuple[PillowImage, str]]:
    """Yield images to train on, as they are read, each with the name of its class; the classes take turns."""
    rows = [np.flatnonzero(dataset.train.labels == label) for label in range(len(dataset.classes))]
    spread = [row[np.unique(np.linspace(0, len(row) - 1, min(len(row), _SHOWN), dtype=np.intp))] for row in rows]
    places = [int(place) for turn in zip_longest(*spread) for place in turn if place is not None][:_SHOWN]
    for place in sorted(places, key=lambda one: (int(dataset.train.labels[one]), one)):
        image = dataset.train.images[np.array([place])][0]  # (c, h, w)
        yield shown(image, dataset.peak), dataset.classes[dataset.train.labels[place]]

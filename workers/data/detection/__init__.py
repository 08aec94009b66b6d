"""Datasets for object detection: one file per format, one table, one cache per process."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any

from workers.data.catalogue import Catalogue
from workers.data.detection.coco import COCO
from workers.data.detection.dataset import DetectionDataset, RawScenes, Scenes, Truth, split
from workers.data.detection.digits_scenes import DIGITS_SCENES
from workers.data.options import DatasetFormat, DatasetOptions, SplitOptions

NAMED: Mapping[str, DatasetFormat[Any, RawScenes]] = MappingProxyType({"digits-scenes": DIGITS_SCENES})
"""Datasets that are made from what a dependency ships."""

FORMATS: Mapping[str, DatasetFormat[Any, RawScenes]] = MappingProxyType({"coco": COCO})
"""Ways to read files."""

__all__ = ["CATALOGUE", "FORMATS", "NAMED", "DetectionDataset", "Scenes", "Truth", "fingerprint", "load", "raw"]


def load(dataset: Mapping[str, Any]) -> DetectionDataset:
    """The dataset that the section of a spec describes. Raises InvalidInput; see `Catalogue.load`."""
    return CATALOGUE.load(dataset)


def raw(dataset: Mapping[str, Any]) -> RawScenes:
    """All images of the dataset before they are split, read anew. Raises InvalidInput as `load` does."""
    return CATALOGUE.raw(dataset)


def fingerprint(dataset: Mapping[str, Any]) -> Hashable:
    """Return a value that changes when the dataset's files do. Raises InvalidInput if they are missing."""
    return CATALOGUE.fingerprint(dataset)


def _split(raw: RawScenes, options: DatasetOptions) -> DetectionDataset:
    if isinstance(options, SplitOptions):
        return split(raw, validation=options.validation, test=options.test, seed=options.split_seed)
    return split(raw, validation=0.2, test=0.2, seed=0)


CATALOGUE = Catalogue(NAMED, FORMATS, _split)

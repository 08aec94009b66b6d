"""Datasets for object detection: a file per format, a table, and a cache per process."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any

from workers.data.catalogue import Catalogue
from workers.data.detection.boxtable import CSV
from workers.data.detection.coco import COCO
from workers.data.detection.dataset import DetectionDataset, RawScenes, Scenes, Truth, split
from workers.data.detection.digits_scenes import DIGITS_SCENES
from workers.data.detection.voc import VOC
from workers.data.detection.yolo import YOLO
from workers.data.options import DatasetFormat, DatasetOptions, SplitOptions

NAMED: Mapping[str, DatasetFormat[Any, RawScenes]] = MappingProxyType({"digits-scenes": DIGITS_SCENES})
"""Datasets made from data that a dependency ships."""

FORMATS: Mapping[str, DatasetFormat[Any, RawScenes]] = MappingProxyType(
    {"coco": COCO, "voc": VOC, "yolo": YOLO, "csv": CSV}
)
"""File formats by name."""

__all__ = ["CATALOGUE", "FORMATS", "NAMED", "DetectionDataset", "Scenes", "Truth", "fingerprint", "load", "raw"]


def load(dataset: Mapping[str, Any]) -> DetectionDataset:
    """Return the dataset that a spec's section describes. Raises InvalidInput; see `Catalogue.load`."""
    return CATALOGUE.load(dataset)


def raw(dataset: Mapping[str, Any]) -> RawScenes:
    """Return all images of the dataset before the split, reading them each time. Raises InvalidInput as `load` does."""
    return CATALOGUE.raw(dataset)


def fingerprint(dataset: Mapping[str, Any]) -> Hashable:
    """Return a value that changes when the dataset's files do. Raises InvalidInput if they are missing."""
    return CATALOGUE.fingerprint(dataset)


def _split(raw: RawScenes, options: DatasetOptions) -> DetectionDataset:
    if isinstance(options, SplitOptions):
        return split(raw, validation=options.validation, test=options.test, seed=options.split_seed)
    return split(raw, validation=0.2, test=0.2, seed=0)


CATALOGUE = Catalogue(NAMED, FORMATS, _split)

"""Datasets for image classification: a file per format, a table, and a cache per process."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from workers.data.catalogue import Catalogue
from workers.data.classification.csv import CSV
from workers.data.classification.digits import DIGITS
from workers.data.classification.imagefolder import IMAGEFOLDER
from workers.data.classification.npy import NPY
from workers.data.classification.npz import NPZ
from workers.data.classification.parquet import PARQUET
from workers.data.classification.reassessed import label_file, read_sets
from workers.data.dataset import Dataset, Images, Labels, RawDataset, Split, split
from workers.data.options import DatasetFormat, DatasetOptions, ReassessedOptions, SplitOptions

NAMED: Mapping[str, DatasetFormat[Any, RawDataset]] = MappingProxyType({"digits": DIGITS})
"""Datasets that ship with a dependency."""

FORMATS: Mapping[str, DatasetFormat[Any, RawDataset]] = MappingProxyType(
    {"imagefolder": IMAGEFOLDER, "npz": NPZ, "npy": NPY, "csv": CSV, "parquet": PARQUET}
)
"""File formats by name."""

__all__ = [
    "CATALOGUE",
    "FORMATS",
    "NAMED",
    "Dataset",
    "Images",
    "Labels",
    "Split",
    "fingerprint",
    "load",
    "raw",
    "shares",
]


def load(dataset: Mapping[str, Any]) -> Dataset:
    """Return the dataset that a spec's section describes. Raises InvalidInput; see `Catalogue.load`."""
    return CATALOGUE.load(dataset)


def raw(dataset: Mapping[str, Any]) -> RawDataset:
    """Return all images of the dataset before the split, reading them each time. Raises InvalidInput as `load` does."""
    return CATALOGUE.raw(dataset)


def fingerprint(dataset: Mapping[str, Any]) -> Hashable:
    """Return a value that changes when the dataset's files do. Raises InvalidInput if they are missing."""
    return CATALOGUE.fingerprint(dataset)


def shares(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shares and the seed of a dataset's split: the arguments of `split`. Raises InvalidInput."""
    return _shares(CATALOGUE.chosen(dataset)[1])


def _shares(options: DatasetOptions) -> dict[str, Any]:
    if isinstance(options, SplitOptions):
        return {"validation": options.validation, "test": options.test, "seed": options.split_seed}
    return {"validation": 0.2, "test": 0.2, "seed": 0}


def _split(raw: RawDataset, options: DatasetOptions) -> Dataset:
    dataset = split(raw, **_shares(options))
    dataset = replace(dataset, notes=(*dataset.notes, *_unused(raw, options)))
    if not isinstance(options, ReassessedOptions) or options.reassessed is None:
        return dataset
    return replace(dataset, reassessed=read_sets(options.reassessed, dataset.validation_images, options.within))


def _unused(raw: RawDataset, options: DatasetOptions) -> Iterator[str]:
    """Yield a note for each share that the section states, although the files contain that split."""
    for name, own in (("validation", raw.validation), ("test", raw.test)):
        if own is not None and name in options.model_fields_set:
            yield f"the share `{name}` is not used: the files have a {name} split of their own"


def _label_file(options: DatasetOptions) -> Hashable:
    return label_file(options) if isinstance(options, ReassessedOptions) else None


CATALOGUE = Catalogue(NAMED, FORMATS, _split, _label_file)

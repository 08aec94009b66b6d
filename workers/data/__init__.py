"""Datasets for image classification: one file per format, one table, one cache per process."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from searchsvc.errors import InvalidInput
from workers.data.dataset import Dataset, Images, Labels, RawDataset, Split, split
from workers.data.digits import DIGITS
from workers.data.imagefolder import IMAGEFOLDER
from workers.data.npz import NPZ
from workers.data.options import DatasetFormat, DatasetOptions, SplitOptions, parsed

NAMED: Mapping[str, DatasetFormat[Any]] = MappingProxyType({"digits": DIGITS})
"""Datasets that ship with a dependency."""

FORMATS: Mapping[str, DatasetFormat[Any]] = MappingProxyType({"imagefolder": IMAGEFOLDER, "npz": NPZ})
"""Ways to read files."""

__all__ = ["FORMATS", "NAMED", "Dataset", "Images", "Labels", "Split", "load", "shares"]


def load(dataset: Mapping[str, Any]) -> Dataset:
    """The dataset that the section of a spec describes, read once per process while its files stay as they are.

    Raises InvalidInput (pointers into the section): unknown names and options, and whatever is wrong with the files.
    """
    kind, options = _chosen(dataset)
    try:
        return _load(kind, options, {**NAMED, **FORMATS}[kind].fingerprint(options))
    except OSError as error:
        raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None


def shares(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """How the images of the dataset of a spec are split: the arguments of `split`. Raises InvalidInput."""
    return _shares(_chosen(dataset)[1])


def _chosen(dataset: Mapping[str, Any]) -> tuple[str, DatasetOptions]:
    key, table = ("format", FORMATS) if "format" in dataset else ("name", NAMED)
    kind = dataset.get(key)
    if not isinstance(kind, str) or kind not in table:
        raise InvalidInput.at(f"/{key}", f"no dataset {key} {kind!r}; there are {', '.join(sorted(table))}")
    return kind, parsed(table[kind].options, dataset)


def _shares(options: DatasetOptions) -> dict[str, Any]:
    if isinstance(options, SplitOptions):
        return {"validation": options.validation, "test": options.test, "seed": options.split_seed}
    return {"validation": 0.2, "test": 0.2, "seed": 0}


@lru_cache(maxsize=2)
def _load(kind: str, options: DatasetOptions, fingerprint: Hashable) -> Dataset:  # noqa: ARG001 - part of the key
    raw: RawDataset = {**NAMED, **FORMATS}[kind].read(options)
    return split(raw, **_shares(options))

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

__all__ = ["FORMATS", "NAMED", "Dataset", "Images", "Labels", "Split", "load"]


def load(dataset: Mapping[str, Any]) -> Dataset:
    """The dataset that the section of a spec describes, read once per process while its files stay as they are.

    Raises InvalidInput (pointers into the section): unknown names and options, and whatever is wrong with the files.
    """
    key, table = ("format", FORMATS) if "format" in dataset else ("name", NAMED)
    kind = dataset.get(key)
    if not isinstance(kind, str) or kind not in table:
        raise InvalidInput.at(f"/{key}", f"no dataset {key} {kind!r}; there are {', '.join(sorted(table))}")
    options = parsed(table[kind].options, dataset)
    try:
        return _load(kind, options, table[kind].fingerprint(options))
    except OSError as error:
        raise InvalidInput.at("/path", f"{error.filename} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=2)
def _load(kind: str, options: DatasetOptions, fingerprint: Hashable) -> Dataset:  # noqa: ARG001 - part of the key
    raw: RawDataset = {**NAMED, **FORMATS}[kind].read(options)
    if isinstance(options, SplitOptions):
        return split(raw, validation=options.validation, test=options.test, seed=options.split_seed)
    return split(raw, validation=0.2, test=0.2, seed=0)

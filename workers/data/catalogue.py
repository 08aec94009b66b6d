"""The datasets of a task: a table of named datasets, a table of file formats, and the datasets read most recently."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.faults import parse_section
from searchsvc.domain.task import RecognisedDataset
from searchsvc.errors import InvalidInput
from workers.data.options import (
    IMAGES,
    DatasetFormat,
    DatasetOptions,
    ImagesOptions,
    RawT,
    Shape,
    existing,
    files_readable,
    stamps,
)
from workers.data.walk import files_below

DatasetT = TypeVar("DatasetT")


class Catalogue(Generic[RawT, DatasetT]):
    """Finds, reads and splits the dataset that a spec's section describes."""

    def __init__(
        self,
        named: Mapping[str, DatasetFormat[Any, RawT]],
        formats: Mapping[str, DatasetFormat[Any, RawT]],
        split: Callable[[RawT, DatasetOptions], DatasetT],
        stamp_of_labels: Callable[[DatasetOptions], Hashable] = lambda _: None,
    ) -> None:
        """Create a catalogue.

        `stamp_of_labels`: the fingerprint of further files that `split` reads, in addition to the files of the format.
        """
        self._tables = {"name": named, "format": formats}
        self._all = {**named, **formats}
        self._split, self._stamp_of_labels = split, stamp_of_labels
        self._cached = lru_cache(maxsize=2)(self._read)

    @property
    def descriptions(self) -> tuple[tuple[str, str], ...]:
        """Name or format of each dataset, with a line of description."""
        return tuple((kind, entry.description) for kind, entry in self._all.items())

    @property
    def formats(self) -> tuple[tuple[str, str], ...]:
        """Each file format, with a line of description."""
        return tuple((kind, entry.description) for kind, entry in self._tables["format"].items())

    def load(self, dataset: Mapping[str, Any]) -> DatasetT:
        """Return the dataset; it is read once per process as long as its files do not change.

        Raises InvalidInput (pointers into the section) if a name or an option is unknown, or the files are faulty.
        """
        kind, options = self.chosen(dataset)
        with files_readable():
            fingerprint = self._all[kind].fingerprint(options), self._stamp_of_labels(options)
            return self._cached(kind, options, fingerprint)

    def raw(self, dataset: Mapping[str, Any]) -> RawT:
        """Return the dataset before the split, reading it each time. Raises InvalidInput as `load` does."""
        kind, options = self.chosen(dataset)
        with files_readable():
            return self._all[kind].read(options)

    def fingerprint(self, dataset: Mapping[str, Any]) -> Hashable:
        """Return a value that changes when the files of the dataset do. Raises InvalidInput if they are missing."""
        kind, options = self.chosen(dataset)
        return self._all[kind].fingerprint(options)

    def path_options(self, dataset: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the options of a section that its format declares as paths; `path` if the format is unknown."""
        key = "format" if "format" in dataset else "name"
        entry = self._tables[key].get(str(dataset.get(key)))
        return ("path",) if entry is None else entry.paths

    def stamp(self, section: Mapping[str, Any]) -> Hashable:
        """Return the fingerprint of a section with or without labels. Raises InvalidInput if files are missing."""
        folder = self.unlabelled_folder(section)
        if folder is None:
            return self.fingerprint(section)
        return stamps(files_below(existing(folder.path, folder=True, within=folder.within), folder.within))

    def unlabelled_folder(self, section: Mapping[str, Any]) -> ImagesOptions | None:
        """Return the folder of a section of images without labels; None if they are not in a folder, or have labels."""
        if section.get("format") == IMAGES:
            return parse_section(ImagesOptions, section)
        kind, options = self.chosen(section)
        return self._all[kind].unlabelled_folder(options)

    def unlabelled_images(self, section: Mapping[str, Any]) -> NDArray[np.uint8] | None:
        """Return the unlabelled images (n, c, h, w) of a section; None if they have labels. Raises InvalidInput."""
        kind, options = self.chosen(section)
        return self._all[kind].unlabelled_images(options)

    def fitted(self, section: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """Return the section, completed with options that resize its images to a dataset's `shape`."""
        kind, _ = self.chosen(section)
        return {**self._all[kind].fitted(shape), **section}

    def recognise(self, path: Path) -> tuple[RecognisedDataset, ...]:
        """Return a section for each format that a file or folder looks like."""
        name = re.sub(r"[^\w .-]+", "-", path.stem if path.is_file() else path.name).strip(" .-")[:64] or "files"
        found = ((kind, one, one.detect(path)) for kind, one in self._tables["format"].items())
        return tuple(
            RecognisedDataset({"name": name, "format": kind, **options}, one.rank)
            for kind, one, options in found
            if options is not None
        )

    def chosen(self, dataset: Mapping[str, Any]) -> tuple[str, DatasetOptions]:
        """Return the name or format of the section, and its options. Raises InvalidInput."""
        key = "format" if "format" in dataset else "name"
        table, kind = self._tables[key], dataset.get(key)
        if not isinstance(kind, str) or kind not in table:
            raise InvalidInput.at(f"/{key}", f"no dataset {key} {kind!r}; there are {', '.join(sorted(table))}")
        return kind, parse_section(table[kind].options, dataset)

    def _read(self, kind: str, options: DatasetOptions, fingerprint: Hashable) -> DatasetT:  # noqa: ARG002 - a key
        return self._split(self._all[kind].read(options), options)

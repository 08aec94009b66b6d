"""Images without labels, from which a student learns: the steps that all tasks share."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from searchsvc.errors import InvalidInput
from workers.data.catalogue import Catalogue, DatasetT
from workers.data.dataset import Labels
from workers.data.options import UNKNOWN, ImagesOptions, existing, files_readable
from workers.data.walk import files_below

UnlabelledT = TypeVar("UnlabelledT")


class UnlabelledLoader(Generic[DatasetT, UnlabelledT]):
    """Loads the images of a section, or the rest of the training images."""

    def __init__(
        self,
        catalogue: Catalogue[Any, DatasetT],
        rest: Callable[[DatasetT, float], UnlabelledT],
        read: Callable[[Mapping[str, Any], DatasetT], UnlabelledT],
    ) -> None:
        """Create a loader.

        `rest` returns a dataset's training images outside a fraction, `read` the images of a section for a dataset;
        both raise InvalidInput.
        """
        self._catalogue, self._rest, self._read = catalogue, rest, read
        self._cached = lru_cache(maxsize=2)(self._read_once)

    def load(self, section: Mapping[str, Any] | None, dataset: Mapping[str, Any], fraction: float) -> UnlabelledT:
        """Return the images of a section; for None, the dataset's training images outside the fraction.

        They are read once per process as long as the files do not change. Raises InvalidInput (pointers into the
        section) if they cannot be read, there are none, they do not fit the dataset, or some are in its validation or
        test split.
        """
        if section is None:
            return self._rest(self._catalogue.load(dataset), fraction)
        with files_readable():
            return self._cached(json.dumps(dict(section)), json.dumps(dict(dataset)), self._catalogue.stamp(section))

    def _read_once(self, section: str, dataset: str, stamp: Hashable) -> UnlabelledT:  # noqa: ARG002 - a key
        return self._read(json.loads(section), self._catalogue.load(json.loads(dataset)))


def images_below(options: ImagesOptions) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return all images below a folder, and their paths relative to it. Raises InvalidInput if there are none."""
    root = existing(options.path, folder=True, within=options.within)
    paths = tuple(files_below(root, options.within))
    if not paths:
        raise InvalidInput.at("/path", f"{root} holds no image")
    return paths, tuple(path.relative_to(root).as_posix() for path in paths)


def labels_by_name(own: Sequence[str], classes: Sequence[str]) -> Labels:
    """Return the label among `classes` of each class in `own`, by its name; UNKNOWN if it is not among them."""
    by_name = {name: label for label, name in enumerate(classes)}
    return np.array([by_name.get(name, UNKNOWN) for name in own], np.int64)

"""Sizes and modes of the images of a dataset, from the headers of a sample of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from workers.data.dataset import SplitFiles
from workers.data.imagefiles import headers_of

MOST_HEADERS = 1000
"""Largest number of files whose headers are read, evenly spaced over all files."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Number of images by size (`640x480`) and by mode, the most frequent first."""

    looked_at: int
    sizes: Mapping[str, int]
    modes: Mapping[str, int]

    @classmethod
    def of_files(cls, files: Sequence[SplitFiles], most: int = MOST_HEADERS) -> Self:
        """Read the headers of a sample. Raises InvalidInput that names files which cannot be used."""
        paths = [path for part in files for path in part.paths]
        places = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths)), dtype=np.intp))
        within = next((part.within for part in files), None)
        headers = headers_of([paths[place] for place in places], within)
        sizes = counted(f"{header.width}x{header.height}" for header in headers)
        return cls(len(headers), sizes, counted(header.mode for header in headers))

    @classmethod
    def of_sizes(cls, sizes: Iterable[tuple[int, int]]) -> Self:
        """Count images of known (height, width), in no files of their own."""
        found = counted(f"{width}x{height}" for height, width in sizes)
        return cls(sum(found.values()), found, {})


def counted(values: Iterable[str]) -> dict[str, int]:
    """Return the number of each value, the most frequent first."""
    return dict(Counter(values).most_common())

"""Images of a detection dataset that stay in their files, and their decoding, which keeps the aspect ratio."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from workers.data.detection.dataset import CHANNELS, Decoded
from workers.data.imagefiles import Roots, alone_if_large, for_all, header_of, opened, printable
from workers.data.imageheaders import ImageHeader
from workers.data.imagemodes import pillow, upright


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Files whose images are decoded on access, upright and in colour."""

    paths: tuple[Path, ...]
    side: int
    """The longest side, in px, of a decoded image; smaller images keep their size."""
    within: Roots = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        """Return (3, h, w). Raises InvalidInput that names a file which cannot be decoded."""
        return self._decoded(position, threading.Lock())

    def take(self, index: NDArray[np.intp]) -> PictureFiles:
        return PictureFiles(tuple(self.paths[position] for position in index), self.side, self.within)

    def decoded(self) -> Decoded:
        """Decode all images. Raises InvalidInput that names the files which cannot be decoded."""
        images: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(self)
        lock = threading.Lock()

        def fill(position: int) -> None:
            images[position] = self._decoded(position, lock)

        for_all(fill, range(len(self)))
        return Decoded(tuple(images))

    def _decoded(self, position: int, lock: threading.Lock) -> NDArray[np.uint8]:
        with opened(self.paths[position], self.within) as image, alone_if_large(image, lock):
            shown = upright(image, color=True)
        height, width = kept(shown.height, shown.width, self.side)
        pixels = np.asarray(shown.resize((width, height), pillow().Resampling.BILINEAR), np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def fitted(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width scaled so that the larger is `side`; at least 1."""
    longest = max(height, width)
    return max(1, round(height * side / longest)), max(1, round(width * side / longest))


def kept(height: int, width: int, side: int) -> tuple[int, int]:
    """Return `fitted`, but never enlarge the image."""
    return fitted(height, width, min(side, max(height, width)))


def bytes_of(sizes: NDArray[np.int64], side: int) -> int:
    """Return the memory that decoded images of these heights and widths (n, 2) need."""
    return sum(CHANNELS * math.prod(kept(height, width, side)) for height, width in sizes.tolist())


def check_sizes(paths: Sequence[Path], sizes: NDArray[np.int64], within: Roots) -> tuple[ImageHeader, ...]:
    """Return the header of each file, whose upright image must have the stated height and width (n, 2).

    Raises InvalidInput that names files which are missing, cannot be used, or have other sizes.
    """
    headers: dict[int, ImageHeader] = {}

    def look(position: int) -> None:
        path, (height, width) = paths[position], sizes[position].tolist()
        if not path.is_file():
            raise InvalidInput.at("/path", f"there is no image {printable(path)}")
        header = headers[position] = header_of(path, within)
        if (header.height, header.width) != (height, width):
            stated = f"but the annotations say {width}x{height}"
            message = f"{printable(path)} has {header.width}x{header.height} px upright, {stated}"
            raise InvalidInput.at("/path", message)

    for_all(look, range(len(paths)))
    return tuple(headers[position] for position in range(len(paths)))


def sizes_of(headers: Sequence[ImageHeader]) -> NDArray[np.int64]:
    """Return height and width (n, 2) of the upright images."""
    return np.array([(header.height, header.width) for header in headers], np.int64).reshape(-1, 2)

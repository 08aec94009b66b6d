"""Images of a detection dataset that stay in their files, and their decoding, which keeps the aspect ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from workers.data.detection.dataset import CHANNELS, Decoded
from workers.data.imagefiles import Roots, for_all, opened, printable

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_EXIF, _ORIENTATION = "exif", 0x0112
"""The key in Pillow's info if a header gives the orientation, and the tag of the orientation."""
_TURNED = range(5, 9)
"""Values of the orientation that exchange height and width."""


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
        from PIL import Image

        image = upright(self.paths[position], self.within)
        height, width = kept(image.height, image.width, self.side)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def take(self, index: NDArray[np.intp]) -> PictureFiles:
        return PictureFiles(tuple(self.paths[position] for position in index), self.side, self.within)

    def decoded(self) -> Decoded:
        """Decode all images. Raises InvalidInput that names the files which cannot be decoded."""
        images: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(self)

        def fill(position: int) -> None:
            images[position] = self[position]

        for_all(fill, range(len(self)))
        return Decoded(tuple(images))


def upright(path: Path, within: Roots = None) -> PillowImage:
    """Return the image of a file as it is displayed, in colour. Raises InvalidInput if the file cannot be decoded."""
    from PIL import ImageOps

    with opened(path, within) as image:
        return (ImageOps.exif_transpose(image) if _EXIF in image.info else image).convert("RGB")


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


def check_sizes(paths: Sequence[Path], sizes: NDArray[np.int64], within: Roots) -> None:
    """Raise InvalidInput that names files which are missing, are no images, or do not have the stated sizes (n, 2)."""

    def look(position: int) -> None:
        path, (height, width) = paths[position], sizes[position].tolist()
        if not path.is_file():
            raise InvalidInput.at("/path", f"there is no image {printable(path)}")
        size = _size(path, within)
        if size != (height, width):
            stated = f"but the annotations say {width}x{height}"
            raise InvalidInput.at("/path", f"{printable(path)} has {size[1]}x{size[0]} px upright, {stated}")

    for_all(look, range(len(paths)))


def sizes_of(paths: Sequence[Path], within: Roots) -> NDArray[np.int64]:
    """Return height and width (n, 2) of each upright image, from its header. Raises InvalidInput that names bad files.
    """
    sizes = np.empty((len(paths), 2), np.int64)

    def look(position: int) -> None:
        sizes[position] = _size(paths[position], within)

    for_all(look, range(len(paths)))
    return sizes


def _size(path: Path, within: Roots) -> tuple[int, int]:
    with opened(path, within) as image:
        turned = _EXIF in image.info and image.getexif().get(_ORIENTATION) in _TURNED
        return (image.width, image.height) if turned else (image.height, image.width)

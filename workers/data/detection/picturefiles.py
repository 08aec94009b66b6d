"""Images of a detection dataset that stay in their files, and how a file becomes pixels: in its own ratio."""

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
from workers.data.imagefiles import for_all, opened, printable

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_EXIF, _ORIENTATION = "exif", 0x0112
"""The key in Pillow's info if a header gives the orientation, and the tag of the orientation."""
_TURNED = range(5, 9)
"""Its values that exchange height and width."""


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Files whose images are decoded, upright and in colour, when they are asked for."""

    paths: tuple[Path, ...]
    side: int
    """The longest side, in px, that an image keeps; a smaller one stays as it is."""

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        """(3, h, w). Raises InvalidInput that names a file which cannot be decoded."""
        from PIL import Image

        image = upright(self.paths[position])
        height, width = kept(image.height, image.width, self.side)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def take(self, index: NDArray[np.intp]) -> PictureFiles:
        return PictureFiles(tuple(self.paths[position] for position in index), self.side)

    def decoded(self) -> Decoded:
        """All of them. Raises InvalidInput that names the files which cannot be decoded."""
        images: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(self)

        def fill(position: int) -> None:
            images[position] = self[position]

        for_all(fill, range(len(self)))
        return Decoded(tuple(images))


def upright(path: Path) -> PillowImage:
    """The image of a file as it is shown, in colour. Raises InvalidInput that names a file which cannot be decoded."""
    from PIL import ImageOps

    with opened(path) as image:
        return (ImageOps.exif_transpose(image) if _EXIF in image.info else image).convert("RGB")


def fitted(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width in the same ratio whose larger one is `side`; at least 1."""
    longest = max(height, width)
    return max(1, round(height * side / longest)), max(1, round(width * side / longest))


def kept(height: int, width: int, side: int) -> tuple[int, int]:
    """Return `fitted`, but never enlarge the image."""
    return fitted(height, width, min(side, max(height, width)))


def bytes_of(sizes: NDArray[np.int64], side: int) -> int:
    """Memory that images of these heights and widths (n, 2) take when they are decoded."""
    return sum(CHANNELS * math.prod(kept(height, width, side)) for height, width in sizes.tolist())


def check_sizes(paths: Sequence[Path], sizes: NDArray[np.int64]) -> None:
    """Raise InvalidInput that names files which are not there, are no images, or not of the stated sizes (n, 2)."""

    def look(position: int) -> None:
        path, (height, width) = paths[position], sizes[position].tolist()
        if not path.is_file():
            raise InvalidInput.at("/path", f"there is no image {printable(path)}")
        found = _size(path)
        if found != (height, width):
            stated = f"the annotations say {width}x{height}"
            raise InvalidInput.at("/path", f"{printable(path)} is of {found[1]}x{found[0]} px upright, {stated}")

    for_all(look, range(len(paths)))


def sizes_of(paths: Sequence[Path]) -> NDArray[np.int64]:
    """(n, 2): height and width of each image upright, by its header. Raises InvalidInput that names what is none."""
    sizes = np.empty((len(paths), 2), np.int64)

    def look(position: int) -> None:
        sizes[position] = _size(paths[position])

    for_all(look, range(len(paths)))
    return sizes


def _size(path: Path) -> tuple[int, int]:
    with opened(path) as image:
        turned = _EXIF in image.info and image.getexif().get(_ORIENTATION) in _TURNED
        return (image.width, image.height) if turned else (image.height, image.width)

"""Images that stay in their files, and their decoding.

`ImageFiles` has the shape and the indexing of the array of its images (n, c, size, size), but decodes the requested
images on each access: a folder that does not fit into memory can be trained on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_DECODERS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_LARGEST_PIXELS = 2**27
_FAULTS_LISTED = 20
_THREADS = 4

Item = TypeVar("Item")
Roots: TypeAlias = Sequence[str] | None
"""Folders that files must lie below, with links followed; None: anywhere."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes each file of a dataset to an image (c, size, size) of uint8."""

    size: int
    color: bool
    """True: three channels; false: a grey channel."""
    within: Roots = None

    @property
    def channels(self) -> int:
        return 3 if self.color else 1

    def decode(self, path: Path) -> NDArray[np.uint8]:
        """Decode a file. Raises InvalidInput that names it if it cannot be decoded."""
        from PIL import Image

        with opened(path, self.within) as image:
            converted = image.convert("RGB" if self.color else "L")
            # (size, size, 3) or (size, size)
            pixels = np.asarray(converted.resize((self.size, self.size), Image.Resampling.BILINEAR), np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if self.color else pixels[None]  # (c, size, size)

    def decode_all(self, paths: Sequence[Path]) -> NDArray[np.uint8]:
        """Decode files to (n, c, size, size). Raises InvalidInput that names the files which cannot be decoded."""
        images = np.empty((len(paths), self.channels, self.size, self.size), np.uint8)

        def fill(index: int) -> None:
            images[index] = self.decode(paths[index])

        for_all(fill, range(len(paths)))
        return images


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """An array of images that are decoded on access, with the members that training needs."""

    paths: tuple[Path, ...]
    decoder: Decoder

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.paths), self.decoder.channels, self.decoder.size, self.decoder.size

    def take(self, index: NDArray[np.intp], axis: int = 0) -> ImageFiles:  # noqa: ARG002 - as an array has it
        """Return a selection of the files, not decoded."""
        return ImageFiles(tuple(self.paths[position] for position in index), self.decoder)

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return (m, c, size, size). Raises InvalidInput that names files which cannot be decoded."""
        return self.decoder.decode_all([self.paths[position] for position in index])


def has_image_ending(name: str) -> bool:
    """Return whether the name of a file ends like that of an image."""
    return os.path.splitext(name)[1].lower() in _ENDINGS


def images_of(paths: tuple[Path, ...], decoder: Decoder, memory_bytes: int) -> NDArray[np.uint8] | ImageFiles:
    """Return the decoded images if they fit into `memory_bytes`, otherwise the files, whose headers are checked.

    Raises InvalidInput that names each file which cannot be decoded.
    """
    files = ImageFiles(paths, decoder)
    if math.prod(files.shape) <= memory_bytes:
        return decoder.decode_all(paths)
    check_headers(paths, decoder.within)
    return files


def check_headers(paths: Sequence[Path], within: Roots) -> None:
    """Raise InvalidInput that names the files which are no images, judged by their headers."""

    def look(path: Path) -> None:
        with opened(path, within):
            pass

    for_all(look, paths)


@contextmanager
def opened(path: Path, within: Roots = None) -> Iterator[PillowImage]:
    """Open an image without reading its pixels; errors of Pillow, also within the context, become InvalidInput.

    So does a link that leads out of the folders `within`.
    """
    from PIL import Image

    try:
        with open_confined(path, within) as file, Image.open(file, formats=_DECODERS) as image:
            if image.width * image.height > _LARGEST_PIXELS:
                size = f"{image.width}x{image.height}"
                raise InvalidInput.at("/path", f"{printable(path)} has {size} px; the limit is {_LARGEST_PIXELS:,}")
            yield image
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(path)} is not read: {error.strerror}") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InvalidInput.at("/path", f"{printable(path)} cannot be decoded: {printable(error)}") from error


def for_all(action: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Run an action in threads (Pillow decodes outside the GIL).

    Raises InvalidInput with the first faults of items, and the cause of the first error.
    """

    def attempt(item: Item) -> InvalidInput | None:
        try:
            action(item)
        except InvalidInput as error:
            return error
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        errors = [error for error in pool.map(attempt, items) if error is not None]
    if errors:
        faults = [fault for error in errors for fault in error.faults]
        raise InvalidInput(faults[:_FAULTS_LISTED]) from errors[0].__cause__


def printable(what: object) -> str:
    """Return a text without control characters, which can be encoded; names of files may be no text at all."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(what))

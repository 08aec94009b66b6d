"""Images that stay in their files, and their decoding: upright, grey or in colour (`workers.data.imagemodes`).

`ImageFiles` has the shape and the indexing of the array of its images (n, c, size, size), but decodes the requested
images on each access: a folder that does not fit into memory can be trained on.
"""

from __future__ import annotations

import math
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.imageheaders import ImageHeader
from workers.data.imagemodes import UnusableImage, formats_of, pillow, upright

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_LARGEST_PIXELS, _LARGE_PIXELS = 2**27, 2**24
"""The most px of an image, and the size above which threads decode images one at a time, for the sake of memory."""
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    RuntimeError,
    MemoryError,
    AssertionError,
    struct.error,
    zlib.error,
)
"""Errors that decoders raise over damaged bytes."""
_SIGNS: Final = (
    (b"version https://git-lfs", "it is a pointer of Git LFS: fetch the file itself (git lfs pull)"),
    (b"%PDF", "it is a PDF document"),
    (b"%!PS", "it is a PostScript program"),
    (b"8BPS", "it is a Photoshop document"),
    (b"PK\3\4", "it is a zip archive"),
    (b"\x1f\x8b", "it is compressed with gzip"),
    (b"\x93NUMPY", "it is an array of numpy"),
    (b"<", "it is a text, such as a page of the web or an svg"),
    (b"{", "it is a text, such as json"),
)
"""Beginnings of files that often bear the name of an image, and what they are."""
_FAULTS_LISTED = 20
_THREADS = 4

Item = TypeVar("Item")
Roots: TypeAlias = Sequence[str] | None
"""Folders that files must lie below, with links followed; None: anywhere."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """The content of an image's file in memory, such as a cell of a table."""

    content: bytes
    place: str
    """Place of the image, for messages."""
    file_name: str = ""
    """Name of the file that it was; empty: unknown."""


ImageSource: TypeAlias = Path | EncodedImage


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

    @property
    def image_bytes(self) -> int:
        """Size of a decoded image."""
        return self.channels * self.size**2

    def decode(self, path: Path) -> NDArray[np.uint8]:
        """Decode a file. Raises InvalidInput that names it if it cannot be decoded."""
        with opened(path, self.within) as image:
            return self._resized(image)

    def decode_all(self, paths: Sequence[Path]) -> NDArray[np.uint8]:
        """Decode files to (n, c, size, size). Raises InvalidInput that names the files which cannot be decoded."""
        images, lock = self._empty(len(paths)), threading.Lock()

        def fill(index: int) -> None:
            with opened(paths[index], self.within) as image, alone_if_large(image, lock):
                images[index] = self._resized(image)

        for_all(fill, range(len(paths)))
        return images

    def describe_all(self, sources: Sequence[ImageSource]) -> tuple[NDArray[np.uint8], tuple[ImageHeader, ...]]:
        """Decode files or their contents as `decode_all`, and return their headers too."""
        images, lock = self._empty(len(sources)), threading.Lock()
        headers: dict[int, ImageHeader] = {}

        def fill(index: int) -> None:
            with opened(sources[index], self.within) as image, alone_if_large(image, lock):
                headers[index] = ImageHeader.of(image)
                images[index] = self._resized(image)

        for_all(fill, range(len(sources)))
        return images, tuple(headers[index] for index in range(len(sources)))

    def _resized(self, image: PillowImage) -> NDArray[np.uint8]:
        """Return the pixels (c, size, size) of an opened image."""
        shown = upright(image, color=self.color).resize((self.size, self.size), pillow().Resampling.BILINEAR)
        pixels = np.asarray(shown, np.uint8)  # (size, size, 3) or (size, size)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if self.color else pixels[None]

    def _empty(self, count: int) -> NDArray[np.uint8]:
        return np.empty((count, self.channels, self.size, self.size), np.uint8)


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


def images_of(
    paths: tuple[Path, ...], decoder: Decoder, memory_bytes: int
) -> tuple[NDArray[np.uint8] | ImageFiles, tuple[ImageHeader, ...]]:
    """Return the decoded images if they fit into `memory_bytes`, otherwise the files; and the header of each.

    Raises InvalidInput that names each file which cannot be decoded, or whose header says so.
    """
    files = ImageFiles(paths, decoder)
    if math.prod(files.shape) <= memory_bytes:
        return decoder.describe_all(paths)
    return files, headers_of(paths, decoder.within)


def headers_of(paths: Sequence[Path], within: Roots) -> tuple[ImageHeader, ...]:
    """Return the header of each file. Raises InvalidInput that names the files whose images cannot be used."""
    headers: dict[int, ImageHeader] = {}

    def look(index: int) -> None:
        headers[index] = header_of(paths[index], within)

    for_all(look, range(len(paths)))
    return tuple(headers[index] for index in range(len(paths)))


def header_of(path: Path, within: Roots) -> ImageHeader:
    """Return the header of a file. Raises InvalidInput that names it if its image cannot be used."""
    with opened(path, within) as image:
        return ImageHeader.of(image)


def upright_image(path: Path, *, color: bool, within: Roots = None) -> PillowImage:
    """Return the image of a file as it is displayed, in mode RGB, or L if not `color`.

    The rules are those of `workers.data.imagemodes`. Raises InvalidInput that names a file which is no image, is
    damaged, or whose values cannot be used exactly.
    """
    with opened(path, within) as image:
        return upright(image, color=color)


def alone_if_large(image: PillowImage, lock: threading.Lock) -> AbstractContextManager[object]:
    """Return the context in which a thread decodes an opened image: a large image holds the lock."""
    return lock if image.width * image.height > _LARGE_PIXELS else nullcontext()


@contextmanager
def opened(source: ImageSource, within: Roots = None) -> Iterator[PillowImage]:
    """Open an image without reading its pixels; errors of decoders, also within the context, become InvalidInput.

    So does a link that leads out of the folders `within`.
    """
    name = printable(source.place if isinstance(source, EncodedImage) else source)
    try:
        with _stream(source, within) as file, _identified(file, source) as image:
            if image.width * image.height > _LARGEST_PIXELS:
                raise UnusableImage(f"it has {image.width}x{image.height} px; the limit is {_LARGEST_PIXELS:,}")
            yield image
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{name} is not read: {error.strerror}") from None
    except UnusableImage as error:
        raise InvalidInput.at("/path", f"{name} cannot be decoded: {error}") from None
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InvalidInput.at("/path", f"{name} cannot be read: {error.strerror}") from error
        reason = printable(error) or type(error).__name__
        raise InvalidInput.at("/path", f"{name} cannot be decoded: {reason}; replace the file or remove it") from error


def _stream(source: ImageSource, within: Roots) -> BufferedReader | BytesIO:
    return BytesIO(source.content) if isinstance(source, EncodedImage) else open_confined(source, within)


def _identified(file: BufferedReader | BytesIO, source: ImageSource) -> PillowImage:
    """Open the image in a file. Raises UnusableImage that says what the file is if it is no image."""
    formats = formats_of(source.file_name if isinstance(source, EncodedImage) else source.name)
    if not file.read(1):
        raise UnusableImage("it is empty (0 bytes)")
    file.seek(0)
    try:
        image: PillowImage = pillow().open(file, formats=formats)
    except pillow().DecompressionBombError:
        raise UnusableImage(f"it has more than {_LARGEST_PIXELS:,} px") from None
    except pillow().UnidentifiedImageError:
        file.seek(0)
        found = kind_of(file.read(32)) or "its first bytes are of no image"
        raise UnusableImage(f"{found}; images may be {', '.join(formats)}") from None
    return image


def kind_of(start: bytes) -> str | None:
    """Return what a file with these first bytes is, in words, if it is of a kind that is often found by mistake."""
    stripped = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((words for sign, words in _SIGNS if stripped.startswith(sign)), None)


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

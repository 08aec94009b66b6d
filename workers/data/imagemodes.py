"""Upright images of 8 bits per value from files of any mode, by exact rules, and the formats that are decoded.

| mode of the file | becomes |
|---|---|
| 1, L, P, RGB | its values, exactly |
| LA, PA, RGBA, La, RGBa, or a colour that is transparent | its colours; the transparency is dropped |
| CMYK, YCbCr, HSV | what Pillow converts it to |
| grey with 16 (or 12) bits | v * 255 / 65535 (4095), rounded |
| colour with 16 bits | the upper 8 bits of each value, as Pillow decodes it |
| signed numbers, more than 16 bits, floating point, LAB | refused |

Grey is made of colour as Pillow does, (299 R + 587 G + 114 B) / 1000. Of several frames or pages the first is read. The
orientation that EXIF or XMP data state is applied; colour profiles are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:  # Pillow is loaded with the first image: the service looks up formats without reading any
    from PIL.Image import Exif
    from PIL.Image import Image as PillowImage

_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "PNG": (".png", ".apng"),
        "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        "BMP": (".bmp",),
        "GIF": (".gif",),
        "WEBP": (".webp",),
        "TIFF": (".tif", ".tiff"),
        "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
        "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
        "AVIF": (".avif", ".avifs"),
        "QOI": (".qoi",),
        "DIB": (".dib",),
        "PCX": (".pcx",),
        "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
        "TGA": (".tga", ".icb", ".vda", ".vst"),
    }
)
"""Formats of Pillow that are decoded, with the endings of their files. None of them is a program."""
_WEAKLY_MARKED: Final = ("DIB", "PCX", "SGI", "TGA")
"""Formats whose first bytes hardly tell them from anything else: only the ending of a file can say that it has one."""
_OPTIONAL: Final[Mapping[str, str]] = MappingProxyType({"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"})
"""Formats that a build of Pillow may lack, with the names of their libraries."""
# fmt: off
_OTHER_ENDINGS: Final = frozenset({
    ".ai", ".arw", ".blp", ".cr2", ".cr3", ".cur", ".dcm", ".dcx", ".dds", ".dng", ".emf", ".eps", ".exr", ".fit",
    ".fits", ".flc", ".fli", ".fpx", ".ftc", ".ftu", ".gbr", ".hdr", ".heic", ".heif", ".hif", ".icns", ".ico",
    ".iim", ".im", ".jpm", ".jxl", ".jxr", ".mic", ".msp", ".nef", ".orf", ".palm", ".pcd", ".ps", ".psb", ".psd",
    ".pxr", ".raf", ".ras", ".raw", ".rw2", ".spider", ".svg", ".svgz", ".webm", ".wmf", ".xbm", ".xcf", ".xpm",
})
# fmt: on
"""Endings of images that are not decoded."""

_GREY_16: Final = ("I;16", "I;16L", "I;16B")
PREMULTIPLIED: Final[Mapping[str, str]] = MappingProxyType({"La": "LA", "RGBa": "RGBA"})
_CONVERTED: Final = frozenset({"1", "L", "P", "RGB", "RGBX", "LA", "PA", "RGBA", "CMYK", "YCbCr", "HSV"})
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"I": "32-bit numbers", "F": "floating-point numbers", "LAB": "colours of the space L*a*b*"}
)
_SAVE_AGAIN: Final = "save it as grey or RGB with 8 or 16 bits per value"
ORIENTATION: Final = 0x0112
TURNS: Final[Mapping[int, str]] = MappingProxyType(
    {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_270",
        7: "TRANSVERSE",
        8: "ROTATE_90",
    }
)
"""Orientations of EXIF, with the operations that turn an image upright; from 5 on they exchange height and width."""
_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT, _SUBSAMPLING = 258, 262, 284, 339, 530
"""Tags of TIFF."""
_WHITE_IS_ZERO, _SEPARATE, _SIGNED = 0, 2, 2


class UnusableImage(ValueError):
    """An image whose values would have to be guessed; the message says why, and what to do."""


def pillow() -> Any:
    """Return the module `PIL.Image`, which is loaded with the first image."""
    from PIL import Image

    return Image


@lru_cache(maxsize=1)
def decoders() -> tuple[str, ...]:
    """Return the formats that are decoded and that this build of Pillow has."""
    from PIL import features

    return tuple(name for name in _ENDINGS if name not in _OPTIONAL or features.check(_OPTIONAL[name]))


@lru_cache(maxsize=1)
def endings() -> Mapping[str, str]:
    """Return the formats by the endings of their files, in lower case."""
    return {ending: name for name in decoders() for ending in _ENDINGS[name]}


def has_image_ending(name: str) -> bool:
    """Return whether the name of a file ends like that of an image that is decoded, in upper or lower case."""
    return _ending(name) in endings()


def has_other_image_ending(name: str) -> bool:
    """Return whether the name of a file ends like that of an image of a format that is not decoded here."""
    ending = _ending(name)
    return ending not in endings() and (ending in _OTHER_ENDINGS or any(ending in known for known in _ENDINGS.values()))


def formats_of(name: str) -> tuple[str, ...]:
    """Return the formats that a file of this name may have."""
    own = endings().get(_ending(name))
    return tuple(one for one in decoders() if one == own or one not in _WEAKLY_MARKED)


def upright(image: PillowImage, *, color: bool) -> PillowImage:
    """Return an opened image as it is displayed, in mode RGB, or L if not `color`.

    Raises UnusableImage if no exact rule is known for its mode, and what Pillow raises if it cannot be decoded.
    """
    check_usable(image)
    image.load()
    turn = None if image.format == "TIFF" else TURNS.get(orientation(image))  # Pillow turns TIFF itself
    peak = peak_of(image)
    image.info.pop("transparency", None)  # Pillow would translate it to the new mode, with warnings
    if peak is not None:
        image = _in_8_bits(image, peak)
    elif image.mode in PREMULTIPLIED:
        image = image.convert(PREMULTIPLIED[image.mode])
    mode = "RGB" if color else "L"
    converted = image if image.mode == mode else image.convert(mode)
    return converted if turn is None else converted.transpose(pillow().Transpose[turn])


def check_usable(image: PillowImage) -> None:
    """Raise UnusableImage if the values of an opened image cannot be used exactly, judged by its header."""
    if _SIGNED in tag(image, _SAMPLE_FORMAT, (1,)):
        raise UnusableImage(f"its values are signed numbers: {_SAVE_AGAIN}")
    if peak_of(image) is None and image.mode not in _CONVERTED and image.mode not in PREMULTIPLIED:
        raise UnusableImage(f"its values are {_KINDS.get(image.mode, f'of mode {image.mode}')}: {_SAVE_AGAIN}")
    if image.format != "TIFF" or image.info.get("compression") != "raw":
        return
    if tag(image, _PLANES, (1,))[0] == _SEPARATE and max(tag(image, _BITS, (1,))) > 8:
        raise UnusableImage(f"its 16-bit channels are stored one after another: {_SAVE_AGAIN}, pixel by pixel")
    if image.mode == "YCbCr" and tag(image, _SUBSAMPLING, (2, 2)) != (1, 1):
        raise UnusableImage(f"its colours are subsampled and not compressed: {_SAVE_AGAIN}")


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def orientation(image: PillowImage, exif: Callable[[PillowImage], Exif] = lambda image: image.getexif()) -> int:
    """Return the orientation (1 to 8) that EXIF or XMP data of an image state; 1 if none do, 0 if they are broken.

    `exif` parses the data; by default a PNG is decoded, which may have them behind its pixels.
    """
    try:
        stated: object = exif(image).get(ORIENTATION)
    except Exception:  # noqa: BLE001 - whatever the parser meets in bytes that anyone may have written
        return 0
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def peak_of(image: PillowImage) -> int | None:
    """Return the value of white of a grey image with more than 8 bits per value; None for other images."""
    if image.mode == "I" and image.format == "PPM":
        return 2**16 - 1  # Pillow scales the values of such a file to this
    return int(2 ** tag(image, _BITS, (16,))[0] - 1) if image.mode in _GREY_16 else None


def tag(image: PillowImage, number: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return the values of a tag of a TIFF file; the default if it has no values, or the image is of another format."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    return (value if isinstance(value, tuple) else (value,)) or default


def _in_8_bits(image: PillowImage, peak: int) -> PillowImage:
    """Return a grey image with values from 0 to `peak` in mode L; rounding meets no ties, as `peak` is odd."""
    values = np.asarray(image).astype(np.uint32)  # (h, w)
    if tag(image, _PHOTOMETRIC, (1,))[0] == _WHITE_IS_ZERO:  # Pillow inverts images of at most 8 bits alone
        values = peak - values
    grey: PillowImage = pillow().fromarray(((values * 255 + peak // 2) // peak).astype(np.uint8))
    return grey

"""The headers of images: size, mode, and what their decoding drops or converts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Self

from workers.data.imagemodes import ORIENTATION, PREMULTIPLIED, TURNS, check_usable, orientation, peak_of, pillow, tag

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_BITS, _SAMPLES = 258, 277
"""Tags of TIFF."""
_SIDEWAYS: Final = 5
"""The first orientation that exchanges height and width."""
_PNG_SIGNATURE_BYTES: Final = 8
_LATE: Final = ((b"eXIf", b""), (b"iTXt", b"XML:com.adobe.xmp\0"), (b"tEXt", b"Raw profile"), (b"zTXt", b"Raw profile"))
"""Kinds of chunks of PNG that may state the orientation, with the beginnings of their data."""


class Oddity(Enum):
    """A property of an image that its decoding drops or converts; its words follow a number of images."""

    TURNED = "image is turned upright as its EXIF data say", "images are turned upright as their EXIF data say"
    UNTURNED = (
        "image has broken EXIF data and is not turned",
        "images have broken EXIF data and are not turned",
    )
    TRANSPARENT = "image has transparency, which is dropped", "images have transparency, which is dropped"
    DEEP = (
        "image has more than 8 bits per value, which become 8",
        "images have more than 8 bits per value, which become 8",
    )
    COLOURS = "image is converted from CMYK, YCbCr or HSV", "images are converted from CMYK, YCbCr or HSV"
    CHANNELS = "image has further channels, which are dropped", "images have further channels, which are dropped"
    FRAMES = (
        "image has several frames or pages, of which the first is read",
        "images have several frames or pages, of which the first is read",
    )

    @property
    def one(self) -> str:
        return self.value[0]

    @property
    def many(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The properties of an image that are known before its pixels are decoded."""

    format: str
    """Pillow's name of the format."""
    mode: str
    """Pillow's name of the mode in the file."""
    height: int
    """Height in px of the upright image."""
    width: int
    oddities: tuple[Oddity, ...]
    orientation: int = 1
    """Orientation (1 to 8) that EXIF or XMP data state; 1 also if they are missing or broken."""

    @classmethod
    def of(cls, image: PillowImage) -> Self:
        """Describe an opened image. Raises UnusableImage if its values cannot be used exactly."""
        check_usable(image)
        mode, width, height = image.mode, image.width, image.height
        present = _oddities(image)  # before EXIF data are read, for which Pillow may decode the image
        # The class of PNG would decode the image to look for data behind its pixels.
        parsed_early = image.format == "PNG" and not _has_late_metadata(image)
        stated = orientation(image, pillow().Image.getexif) if parsed_early else orientation(image)
        if stated in TURNS:
            present.append(Oddity.TURNED)
            # The size that Pillow states for TIFF is that of the turned image, if the tag is there.
            if stated >= _SIDEWAYS and ORIENTATION not in getattr(image, "tag_v2", ()):
                width, height = height, width
        elif not stated:
            present.append(Oddity.UNTURNED)
        oddities = tuple(one for one in Oddity if one in present)
        return cls(image.format or "", mode, height, width, oddities, stated or 1)


def _oddities(image: PillowImage) -> list[Oddity]:
    """Return all oddities of an opened image that are no matter of its orientation."""
    present = {
        Oddity.TRANSPARENT: image.mode in PREMULTIPLIED or image.has_transparency_data,
        Oddity.DEEP: _is_deep(image),
        Oddity.COLOURS: image.mode in ("CMYK", "YCbCr", "HSV"),
        Oddity.CHANNELS: tag(image, _SAMPLES, (1,))[0] > len(image.getbands()),
        Oddity.FRAMES: bool(getattr(image, "is_animated", False)),
    }
    return [oddity for oddity, is_present in present.items() if is_present]


def _is_deep(image: PillowImage) -> bool:
    """Return whether a value has more than 8 bits in the file, as far as Pillow says so before it decodes."""
    if peak_of(image) is not None or max(tag(image, _BITS, (8,))) > 8:
        return True
    tiles = getattr(image, "tile", ())
    arguments = [one for tile in tiles for one in (tile.args if isinstance(tile.args, tuple) else (tile.args,))]
    if image.format == "PPM":
        return any(isinstance(one, int) and one > 255 for one in arguments)
    return any(isinstance(one, str) and one.endswith(";16B") for one in arguments)


def _has_late_metadata(image: PillowImage) -> bool:
    """Return whether a chunk behind the first pixels of a PNG may state the orientation. Leaves the file's position."""
    file = getattr(image, "fp", None)
    if file is None:
        return False
    place, behind = file.tell(), False
    file.seek(_PNG_SIGNATURE_BYTES)
    try:
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            behind = behind or kind == b"IDAT"
            start = file.read(min(length, 20))
            if behind and any(kind == late and start.startswith(beginning) for late, beginning in _LATE):
                return True
            file.seek(length - len(start) + 4, 1)  # the rest, and the checksum
        return False
    finally:
        file.seek(place)

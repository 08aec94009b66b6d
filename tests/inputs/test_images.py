"""Images of every mode, format and orientation: read exactly by the stated rules, or refused by name."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, features

from searchsvc.errors import InvalidInput
from tests.support import tiffs
from tests.support.tiffs import tiff
from workers.data.imagefiles import header_of, upright_image
from workers.data.imageheaders import Oddity
from workers.data.imagemodes import has_image_ending, has_other_image_ending

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 7, 5
GREY = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 7).astype(np.uint8)
COLOURS = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], -1)
DEEP = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 1927).astype(np.uint16)
ALPHA = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 11 % 256).astype(np.uint8)
ORIENTATION = 0x0112


def read(path: Path, *, color: bool) -> Pixels:
    """Return the pixels that a network gets, (h, w, 3) or (h, w); no warning may appear."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(upright_image(path, color=color))


def grey_of(colours: Pixels) -> Pixels:
    """Return the grey of colours (h, w, 3): 299 R + 587 G + 114 B in the fixed point of Pillow."""
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def turned(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return stored pixels (h, w, ...) as an EXIF orientation says that they are displayed."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: np.swapaxes(pixels, 0, 1),
        6: np.rot90(pixels, -1),
        7: np.swapaxes(pixels[::-1, ::-1], 0, 1),
        8: np.rot90(pixels),
    }[orientation]


def scaled(values: NDArray[Any], peak: int = 65535) -> Pixels:
    return np.rint(values.astype(np.float64) * 255 / peak).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def palette_image(transparency: bytes | int | None = None, mode: str = "P") -> Image.Image:
    """Return an image of indices 0 to 34 whose colours are those of COLOURS."""
    image = Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH))
    image.putpalette(COLOURS.reshape(-1).tolist())
    if mode == "PA":
        image = Image.merge(
            "LA",
            (image.convert("L") if image.mode == "L" else Image.fromarray(np.asarray(image)), Image.fromarray(ALPHA)),
        )
        image.putpalette(COLOURS.reshape(-1).tolist())
    if transparency is not None:
        image.info["transparency"] = transparency
    return image


def with_alpha(pixels: Pixels, mode: str) -> Image.Image:
    return Image.fromarray(np.dstack([pixels, ALPHA]), mode)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(bits: int, colour: int, rows: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return a PNG of 7 x 5 px from its rows without their filter bytes, with further chunks around the pixels."""
    size = len(rows) // HEIGHT
    filtered = b"".join(b"\0" + rows[row * size : (row + 1) * size] for row in range(HEIGHT))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", zlib.compress(filtered)) + behind + chunk(b"IEND", b"")


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
DEEP_COLOURS = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], -1)
TWELVE_BITS = (np.arange(HEIGHT * 8).reshape(HEIGHT, 8) * 105).astype(np.uint16)  # 8 wide: rows of whole bytes
CMYK = np.dstack([COLOURS, ALPHA])


def packed_12(values: NDArray[np.uint16]) -> bytes:
    pairs = values.reshape(-1, 2).astype(int).tolist()
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)


def cmyk_colours(values: Pixels) -> Pixels:
    """Return the colours of inks (h, w, 4) as Pillow converts them."""
    white = 255 - values[..., 3:].astype(np.int32)
    product = values[..., :3] * white + 128
    return np.clip(white - ((product >> 8) + product >> 8), 0, 255).astype(np.uint8)


EXACT: dict[str, tuple[str, Callable[[], bytes], Pixels]] = {
    # name of the row: (ending, content, grey (h, w) or colours (h, w, 3))
    "U3 grey 16 png": ("png", lambda: saved(Image.fromarray(DEEP), "PNG"), scaled(DEEP)),
    "U3 grey 16 tiff": ("tif", lambda: saved(Image.fromarray(DEEP), "TIFF"), scaled(DEEP)),
    "U3 grey 16 tiff big endian": (
        "tiff",
        lambda: tiff(DEEP.astype(">u2").tobytes(), (WIDTH, HEIGHT), {tiffs.BITS: (16,)}, ">"),
        scaled(DEEP),
    ),
    "grey 16 tiff compressed": (
        "tif",
        lambda: saved(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"),
        scaled(DEEP),
    ),
    "grey 16 tiff, 0 is white": (
        "tif",
        lambda: tiff(DEEP.tobytes(), (WIDTH, HEIGHT), {tiffs.BITS: (16,), tiffs.PHOTOMETRIC: (tiffs.WHITE_IS_ZERO,)}),
        scaled(65535 - DEEP),
    ),
    "grey 8 tiff, 0 is white": (
        "tif",
        lambda: tiff(GREY.tobytes(), (WIDTH, HEIGHT), {tiffs.PHOTOMETRIC: (tiffs.WHITE_IS_ZERO,)}),
        255 - GREY,
    ),
    "grey 12 tiff": (
        "tif",
        lambda: tiff(packed_12(TWELVE_BITS), (8, HEIGHT), {tiffs.BITS: (12,)}),
        scaled(TWELVE_BITS, 4095),
    ),
    "grey 16 with alpha png": (
        "png",
        lambda: png(16, 4, np.dstack([DEEP, DEEP]).astype(">u2").tobytes()),
        (DEEP >> 8).astype(np.uint8),
    ),
    "grey 16 with a transparent value png": (
        "png",
        lambda: png(16, 0, DEEP.astype(">u2").tobytes(), before=chunk(b"tRNS", struct.pack(">H", 1927))),
        scaled(DEEP),
    ),
    "grey 16 pgm": ("pgm", lambda: b"P5 7 5 65535\n" + DEEP.astype(">u2").tobytes(), scaled(DEEP)),
    "grey 10 pgm": ("pgm", lambda: b"P5 7 5 1023\n" + (DEEP % 1024).astype(">u2").tobytes(), scaled(DEEP % 1024, 1023)),
    "grey 4 pgm": ("pgm", lambda: b"P5 7 5 15\n" + (GREY % 16).tobytes(), GREY % 16 * 17),
    "grey pgm as text": ("pnm", lambda: b"P2 7 5 255 " + b" ".join(b"%d" % value for value in GREY.flat), GREY),
    "grey 16 jpeg 2000": ("jp2", lambda: saved(Image.fromarray(DEEP), "JPEG2000"), scaled(DEEP)),
    "colours 16 png": (
        "png",
        lambda: png(16, 2, DEEP_COLOURS.astype(">u2").tobytes()),
        (DEEP_COLOURS >> 8).astype(np.uint8),
    ),
    "colours 16 tiff": (
        "tif",
        lambda: tiff(
            DEEP_COLOURS.tobytes(),
            (WIDTH, HEIGHT),
            {tiffs.BITS: (16,) * 3, tiffs.SAMPLES: (3,), tiffs.PHOTOMETRIC: (tiffs.RGB,)},
        ),
        (DEEP_COLOURS >> 8).astype(np.uint8),
    ),
    "colours and infrared tiff": (
        "tif",
        lambda: tiff(
            CMYK.tobytes(),
            (WIDTH, HEIGHT),
            {tiffs.BITS: (8,) * 4, tiffs.SAMPLES: (4,), tiffs.PHOTOMETRIC: (tiffs.RGB,), tiffs.EXTRA: (0,)},
        ),
        COLOURS,
    ),
    "colours plane by plane tiff": (
        "tif",
        lambda: tiff(
            COLOURS.transpose(2, 0, 1).tobytes(),
            (WIDTH, HEIGHT),
            {tiffs.BITS: (8,) * 3, tiffs.SAMPLES: (3,), tiffs.PHOTOMETRIC: (tiffs.RGB,), tiffs.PLANES: (2,)},
        ),
        COLOURS,
    ),
    "bits png": ("png", lambda: saved(Image.fromarray(GREY > 100), "PNG"), (GREY > 100) * np.uint8(255)),
    "bits tiff": (
        "tif",
        lambda: saved(Image.fromarray(GREY > 100), "TIFF", compression="group4"),
        (GREY > 100) * np.uint8(255),
    ),
    "bits pbm": ("pbm", lambda: saved(Image.fromarray(GREY > 100), "PPM"), (GREY > 100) * np.uint8(255)),
    "grey 4 png": (
        "png",
        lambda: png(4, 0, bytes([0x01, 0x23, 0x45, 0x60] * 5)),
        np.tile(np.arange(7, dtype=np.uint8) * 17, (5, 1)),
    ),
    "grey png": ("png", lambda: saved(Image.fromarray(GREY), "PNG"), GREY),
    "grey with a transparent value png": ("png", lambda: saved(Image.fromarray(GREY), "PNG", transparency=7), GREY),
    "grey with alpha png": ("png", lambda: saved(with_alpha(GREY, "LA"), "PNG"), GREY),
    "colours png": ("PNG", lambda: saved(Image.fromarray(COLOURS), "PNG"), COLOURS),
    "colours with a transparent one png": (
        "png",
        lambda: saved(Image.fromarray(COLOURS), "PNG", transparency=tuple(COLOURS[0, 0].tolist())),
        COLOURS,
    ),
    "colours with alpha png": ("png", lambda: saved(with_alpha(COLOURS, "RGBA"), "PNG"), COLOURS),
    "colours with alpha 0 webp": (
        "webp",
        lambda: saved(Image.fromarray(np.dstack([COLOURS, ALPHA * 0])), "WEBP", lossless=True, exact=True),
        COLOURS,
    ),
    "colours with alpha tiff": ("tif", lambda: saved(with_alpha(COLOURS, "RGBA"), "TIFF"), COLOURS),
    "palette png": ("png", lambda: saved(palette_image(), "PNG"), COLOURS),
    "palette gif": ("gif", lambda: saved(palette_image(), "GIF"), COLOURS),
    "palette bmp": ("bmp", lambda: saved(palette_image(), "BMP"), COLOURS),
    "palette pcx": ("pcx", lambda: saved(palette_image(), "PCX"), COLOURS),
    "palette with alphas png": ("png", lambda: saved(palette_image(bytes(range(35))), "PNG"), COLOURS),
    "palette with a transparent colour png": ("png", lambda: saved(palette_image(3), "PNG"), COLOURS),
    "palette with a transparent colour gif": ("gif", lambda: saved(palette_image(3), "GIF"), COLOURS),
    "inks tiff": ("tif", lambda: saved(Image.fromarray(CMYK, "CMYK"), "TIFF"), cmyk_colours(CMYK)),
    "colours bmp": ("bmp", lambda: saved(Image.fromarray(COLOURS), "BMP"), COLOURS),
    "colours dib": ("dib", lambda: saved(Image.fromarray(COLOURS), "DIB"), COLOURS),
    "colours tga": ("tga", lambda: saved(Image.fromarray(COLOURS), "TGA", compression="tga_rle"), COLOURS),
    "colours sgi": ("sgi", lambda: saved(Image.fromarray(COLOURS), "SGI"), COLOURS),
    "colours qoi": ("qoi", lambda: saved(Image.fromarray(COLOURS), "QOI"), COLOURS),
    "colours jpeg 2000": ("j2k", lambda: saved(Image.fromarray(COLOURS), "JPEG2000", irreversible=False), COLOURS),
    "a bmp that is called png": ("png", lambda: saved(Image.fromarray(COLOURS), "BMP"), COLOURS),
    "the first of several frames gif": (
        "gif",
        lambda: saved(Image.fromarray(GREY), "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)]),
        GREY,
    ),
    "the first of several pages tiff": (
        "tif",
        lambda: saved(Image.fromarray(GREY), "TIFF", save_all=True, append_images=[Image.fromarray(COLOURS)]),
        GREY,
    ),
    "the first of several frames png": (
        "apng",
        lambda: saved(Image.fromarray(COLOURS), "PNG", save_all=True, append_images=[Image.fromarray(255 - COLOURS)]),
        COLOURS,
    ),
    "orientation in xmp behind the pixels png": (
        "png",
        lambda: png(8, 0, GREY.tobytes(), behind=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        turned(GREY, 6),
    ),
    "orientation behind the pixels png": (
        "png",
        lambda: png(8, 0, GREY.tobytes(), behind=chunk(b"eXIf", exif(8).tobytes()[6:])),
        turned(GREY, 8),
    ),
    "orientation that does not exist": ("png", lambda: saved(Image.fromarray(GREY), "PNG", exif=exif(9)), GREY),
    "broken exif data png": ("png", lambda: png(8, 0, GREY.tobytes(), before=chunk(b"eXIf", b"nonsense")), GREY),
}


@pytest.mark.parametrize("row", EXACT)
def test_an_image_is_read_exactly(tmp_path: Path, row: str) -> None:
    ending, content, expected = EXACT[row]
    path = tmp_path / f"image.{ending}"
    path.write_bytes(content())
    colours = expected if expected.ndim == 3 else np.dstack([expected] * 3)
    np.testing.assert_array_equal(read(path, color=True), colours)
    np.testing.assert_array_equal(read(path, color=False), expected if expected.ndim == 2 else grey_of(expected))
    header = header_of(path, None)
    assert (header.height, header.width) == colours.shape[:2]


ORIENTED = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    **({"AVIF": {"quality": 90}} if features.check("avif") else {}),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ORIENTED)
@pytest.mark.parametrize("color", [True, False], ids=["colour", "grey"])
def test_u4_an_image_is_upright(tmp_path: Path, kind: str, orientation: int, color: bool) -> None:
    image = Image.fromarray(COLOURS if color else GREY)
    plain, tagged = tmp_path / f"plain.{kind.lower()}", tmp_path / f"tagged.{kind.lower()}"
    plain.write_bytes(saved(image, kind, **ORIENTED[kind]))
    tagged.write_bytes(saved(image, kind, exif=exif(orientation), **ORIENTED[kind]))
    shown = read(tagged, color=color)
    np.testing.assert_array_equal(shown, turned(read(plain, color=color), orientation))
    header = header_of(tagged, None)
    assert (header.height, header.width) == shown.shape[:2]
    assert (Oddity.TURNED in header.oddities) == (orientation > 1)


def test_inks_of_a_jpeg_are_read_as_pillow_stores_them(tmp_path: Path) -> None:
    """Adobe's programs store inks inverted; a JPEG says so, and Pillow writes and reads it."""
    path = tmp_path / "inks.jpg"
    path.write_bytes(
        saved(Image.fromarray(np.full((8, 8, 4), (0, 255, 255, 0), np.uint8), "CMYK"), "JPEG", quality=100)
    )
    red = read(path, color=True)
    assert red[..., 0].min() > 240
    assert red[..., 1:].max() < 15


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "floating point tiff": (
        "tif",
        lambda: saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        "its values are floating-point numbers: save it as grey or RGB with 8 or 16 bits per value",
    ),
    "floating point pfm": (
        "pfm",
        lambda: saved(Image.fromarray(GREY.astype(np.float32)), "PPM"),
        "floating-point numbers: save it",
    ),
    "32 bits tiff": ("tif", lambda: saved(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "save it as grey or RGB"),
    "unsigned 32 bits tiff": (
        "tif",
        lambda: tiff(GREY.astype(np.uint32).tobytes(), (WIDTH, HEIGHT), {tiffs.BITS: (32,)}),
        "its values are 32-bit numbers: save it as grey or RGB with 8 or 16 bits per value",
    ),
    "signed 8 bits tiff": (
        "tif",
        lambda: tiff(GREY.tobytes(), (WIDTH, HEIGHT), {tiffs.SAMPLE_FORMAT: (2,)}),
        "its values are signed numbers: save it",
    ),
    "signed 16 bits tiff": (
        "tif",
        lambda: tiff(DEEP.tobytes(), (WIDTH, HEIGHT), {tiffs.BITS: (16,), tiffs.SAMPLE_FORMAT: (2,)}),
        "its values are signed numbers: save it",
    ),
    "colours 16 plane by plane tiff": (
        "tif",
        lambda: tiff(
            DEEP_COLOURS.transpose(2, 0, 1).tobytes(),
            (WIDTH, HEIGHT),
            {tiffs.BITS: (16,) * 3, tiffs.SAMPLES: (3,), tiffs.PHOTOMETRIC: (tiffs.RGB,), tiffs.PLANES: (2,)},
        ),
        "stored one after another: save it",
    ),
    "subsampled colours tiff": (
        "tif",
        lambda: tiff(
            bytes(200),
            (WIDTH, HEIGHT),
            {tiffs.BITS: (8,) * 3, tiffs.SAMPLES: (3,), tiffs.PHOTOMETRIC: (tiffs.YCBCR,), tiffs.SUBSAMPLING: (2, 2)},
        ),
        "subsampled",
    ),
    "five channels tiff": (
        "tif",
        lambda: tiff(bytes(175), (WIDTH, HEIGHT), {tiffs.BITS: (8,) * 5, tiffs.SAMPLES: (5,)}),
        "cannot be decoded",
    ),
    "lab tiff": (
        "tif",
        lambda: saved(Image.fromarray(COLOURS, "LAB"), "TIFF"),
        "its values are colours of the space L*a*b*: save it",
    ),
    "zero bytes": ("png", lambda: b"", "it is empty (0 bytes)"),
    "git lfs": ("jpg", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "pointer of Git LFS"),
    "web page": ("jpg", lambda: b"<!DOCTYPE html>", "it is a text"),
    "pdf called png": ("png", lambda: saved(Image.fromarray(GREY), "PDF"), "it is a PDF document"),
    "postscript called png": ("png", lambda: saved(Image.fromarray(GREY), "EPS"), "it is a PostScript program"),
    "numpy called png": ("png", lambda: b"\x93NUMPY\1\0" + bytes(99), "it is an array of numpy"),
    "noise": ("png", lambda: bytes(range(200, 256)), "its first bytes are of no image"),
    "noise that would be a tga": (
        "png",
        lambda: saved(Image.fromarray(COLOURS), "TGA"),
        "its first bytes are of no image",
    ),
    "bomb": (
        "png",
        lambda: (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b""))
        ),
        "px",
    ),
    "just above the limit": ("pgm", lambda: b"P5 134217729 1 255\n", "it has 134217729x1 px; the limit is 134,217,728"),
    "half a png": ("png", lambda: saved(Image.fromarray(COLOURS), "PNG")[:60], "cannot be decoded"),
    "half a jpeg": ("jpg", lambda: saved(Image.fromarray(np.tile(COLOURS, (9, 9, 1))), "JPEG")[:900], "truncated"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_an_image_that_cannot_be_read_exactly_is_refused_by_name(tmp_path: Path, row: str) -> None:
    ending, content, words = REFUSED[row]
    path = tmp_path / f"image.{ending}"
    path.write_bytes(content())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(InvalidInput) as refused:
            upright_image(path, color=True)
    [fault] = refused.value.faults
    assert fault.pointer == "/path"
    assert fault.message.startswith(f"{path} cannot be decoded: ")
    assert words in fault.message
    assert "<_io" not in fault.message


ODDITIES: dict[str, set[Oddity]] = {
    "grey png": set(),
    "colours png": set(),
    "palette png": set(),
    "bits tiff": set(),
    "U3 grey 16 png": {Oddity.DEEP},
    "U3 grey 16 tiff": {Oddity.DEEP},
    "grey 12 tiff": {Oddity.DEEP},
    "grey 10 pgm": {Oddity.DEEP},
    "grey 4 pgm": set(),
    "colours 16 png": {Oddity.DEEP},
    "colours 16 tiff": {Oddity.DEEP},
    "grey 16 with alpha png": {Oddity.DEEP, Oddity.TRANSPARENT},
    "grey with a transparent value png": {Oddity.TRANSPARENT},
    "palette with alphas png": {Oddity.TRANSPARENT},
    "palette with a transparent colour gif": {Oddity.TRANSPARENT},
    "colours with alpha 0 webp": {Oddity.TRANSPARENT},
    "colours and infrared tiff": {Oddity.CHANNELS},
    "inks tiff": {Oddity.COLOURS},
    "the first of several frames gif": {Oddity.FRAMES},
    "the first of several pages tiff": {Oddity.FRAMES},
    "the first of several frames png": {Oddity.FRAMES},
    "orientation behind the pixels png": {Oddity.TURNED},
    "orientation in xmp behind the pixels png": {Oddity.TURNED},
    "orientation that does not exist": set(),
    "broken exif data png": {Oddity.UNTURNED},
}


@pytest.mark.parametrize("row", ODDITIES)
def test_what_is_dropped_or_converted_is_said(tmp_path: Path, row: str) -> None:
    ending, content, _ = EXACT[row]
    path = tmp_path / f"image.{ending}"
    path.write_bytes(content())
    assert set(header_of(path, None).oddities) == ODDITIES[row]


NO_IMAGES = {".pdf", ".h5", ".hdf", ".grib", ".bufr", ".mpg", ".mpeg", ".spider"}
"""Endings that Pillow registers for documents, films and fields of numbers."""


def test_every_ending_that_pillow_knows_is_read_or_named() -> None:
    known = {ending for ending in Image.registered_extensions() if ending not in NO_IMAGES}
    assert {one for one in known if not has_image_ending(f"a{one}") and not has_other_image_ending(f"a{one}")} == set()
    assert all(has_image_ending(f"A.{ending.upper()}") for ending in WRITERS.values() if ending != "avif")
    assert all(map(has_image_ending, ["a.apng", "a.jpeg", "a.jpe", "a.jfif", "a.tiff", "a.ppm", "a.pgm", "a.pbm"]))
    assert has_image_ending("a.avif") == features.check("avif")
    assert has_other_image_ending("a.HEIC")
    assert not has_image_ending("a.txt")
    assert not has_other_image_ending("a.txt")


WRITERS = {
    "PNG": "png",
    "TIFF": "tif",
    "BMP": "bmp",
    "GIF": "gif",
    "WEBP": "webp",
    "JPEG": "jpg",
    "JPEG2000": "jp2",
    "PPM": "pnm",
    "TGA": "tga",
    "PCX": "pcx",
    "SGI": "sgi",
    "QOI": "qoi",
    "DIB": "dib",
    "AVIF": "avif",
}
MODES = [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "F",
    "I;16",
    "I;16B",
]
BYTES = {"1": 1, "I": 4, "F": 4, "I;16": 2, "I;16B": 2}


@st.composite
def images(draw: st.DrawFn) -> tuple[str, bytes, int]:
    """Draw an image that Pillow can write: ending, content, and its orientation."""
    mode, kind = draw(st.sampled_from(MODES)), draw(st.sampled_from(sorted(WRITERS)))
    assume(kind not in ("AVIF", "WEBP") or features.check(kind.lower()))
    size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    bands = BYTES.get(mode) or len(Image.new(mode, (1, 1)).getbands())
    image = Image.new(mode, size)
    image.frombytes(random.bytes((size[0] + 7) // 8 * size[1] if mode == "1" else size[0] * size[1] * bands))
    if mode in ("P", "PA"):
        image.putpalette(random.bytes(768))
    orientation = draw(st.integers(1, 8)) if kind in ORIENTED else 1
    options: dict[str, Any] = {"exif": exif(orientation)} if orientation > 1 else {}
    try:
        return WRITERS[kind], saved(image, kind, **options), orientation
    except (OSError, ValueError, KeyError, SystemError):
        assume(condition=False)
        raise


def reference(content: bytes, orientation: int) -> tuple[Pixels, Pixels] | None:
    """Return colours (h, w, 3) and grey (h, w) of the values that Pillow decodes; None for values without a rule."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        turn = 1 if image.format == "TIFF" else orientation  # Pillow turns TIFF
        mode, values = image.mode, np.asarray(image)
        if mode in ("P", "PA"):
            table = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            table = np.pad(table, ((0, 256 - len(table)), (0, 0)))
            values = table[values if mode == "P" else values[..., 0]]
        elif mode in ("YCbCr", "HSV"):  # by Pillow's own conversion
            converted = turned(np.asarray(image.convert("RGB")), turn)
            return converted, turned(np.asarray(image.convert("L")), turn)
        elif mode == "La":
            values = np.asarray(image.convert("LA"))
        kind = image.format
    if mode in ("F", "LAB") or (mode == "I" and kind != "PPM"):
        return None
    if mode == "1":
        values = values * np.uint8(255)
    if mode.startswith("I"):
        values = scaled(values)
    if mode == "CMYK":
        values = cmyk_colours(values)
    values = turned(values, turn)
    if values.ndim == 2 or values.shape[2] == 2:
        grey = values if values.ndim == 2 else values[..., 0]
        return np.dstack([grey] * 3), grey
    return values[..., :3], grey_of(values[..., :3])


@given(images())
def test_any_image_that_pillow_writes_is_read_as_the_reference_does_or_refused(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, bytes, int]
) -> None:
    ending, content, orientation = drawn
    path = tmp_path_factory.getbasetemp() / f"drawn.{ending}"
    path.write_bytes(content)
    expected = reference(content, orientation)
    if expected is None:
        with pytest.raises(InvalidInput, match=rf"drawn\.{ending} cannot be decoded: .* save it as"):
            upright_image(path, color=True)
        return
    colours, grey = expected
    np.testing.assert_array_equal(read(path, color=True), colours)
    np.testing.assert_array_equal(read(path, color=False), grey)
    header = header_of(path, None)
    assert (header.height, header.width) == grey.shape


@given(images(), st.floats(0, 1))
def test_a_file_that_is_cut_off_is_refused_by_name_or_read_whole(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, bytes, int], share: float
) -> None:
    ending, content, _ = drawn
    path = tmp_path_factory.getbasetemp() / f"cut.{ending}"
    path.write_bytes(content)
    try:
        whole = read(path, color=True)
    except InvalidInput:
        assume(condition=False)
    path.write_bytes(content[: int(share * len(content))])
    outcome: Pixels | str
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged files
        try:
            outcome = np.asarray(upright_image(path, color=True))
        except InvalidInput as refused:
            outcome = str(refused)
    assert f"cut.{ending}" in outcome if isinstance(outcome, str) else np.array_equal(outcome, whole)

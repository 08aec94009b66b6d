"""`npz`: arrays in a .npz file of numpy: x_train, y_train, and optionally x_test, y_test.

Images are uint8, (n, h, w) or (n, h, w, c) with one to four channels. Labels are whole numbers (n,); a class is a
label that occurs in y_train, named by the number or by `classes`.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Hashable
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.dataset import RawDataset, Split
from workers.data.options import (
    LARGEST_SIDE,
    SMALLEST_SIDE,
    DatasetFormat,
    ReassessedOptions,
    SplitOptions,
    check_classes,
    existing,
)

_NAMES = ("x_train", "y_train", "x_test", "y_test")
_LARGEST_BYTES = 8 * 2**30
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)


class NpzOptions(SplitOptions, ReassessedOptions):
    """Options of the format `npz`."""

    format: Literal["npz"]
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=10_000)] | None = None
    """Names of the classes, in the order of their labels."""


def _fingerprint(options: NpzOptions) -> Hashable:
    status = existing(options.path, folder=False, within=options.within).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(options: NpzOptions) -> RawDataset:
    arrays = _arrays(options)
    train, numbers = _images(arrays, "train"), _labels(arrays, "train")
    _check_lengths(train, numbers, "train")
    values = np.unique(numbers)  # (K,)
    names = _names(options, values)
    labels = np.searchsorted(values, numbers)  # (n,), indices of the values
    check_classes(labels, names, options.min_images, options.path)
    test = _test(arrays, values, train.shape[1:])
    return RawDataset(options.name, names, Split(train, labels.astype(np.int64)), test)


def _unlabelled(options: NpzOptions) -> NDArray[np.uint8] | None:
    """Return x_train (n, c, h, w) of a file without y_train; None if it has labels. Raises InvalidInput."""
    arrays = _arrays(options)
    return None if "y_train" in arrays else _images(arrays, "train")


def _test(arrays: dict[str, NDArray[Any]], values: NDArray[Any], shape: tuple[int, ...]) -> Split | None:
    if "x_test" not in arrays and "y_test" not in arrays:
        return None
    images, numbers = _images(arrays, "test"), _labels(arrays, "test")
    _check_lengths(images, numbers, "test")
    if images.shape[1:] != shape:
        raise _wrong(f"images of x_test are {images.shape[1:]} as (channels, height, width), those of x_train {shape}")
    unknown = np.setdiff1d(numbers, values)
    if len(unknown):
        raise _wrong(f"label {unknown[0]} is in y_test but not in y_train")
    return Split(images, np.searchsorted(values, numbers).astype(np.int64))


def _arrays(options: NpzOptions) -> dict[str, NDArray[Any]]:
    """Return the arrays of the file; pickled objects, and arrays that would fill the memory, are refused."""
    path = existing(options.path, folder=False, within=options.within)
    try:
        with open_confined(path, options.within) as file:
            with zipfile.ZipFile(file) as archive:
                _check_sizes(archive)
            file.seek(0)
            with np.load(file, allow_pickle=False) as opened:
                return {name: opened[name] for name in _NAMES if name in opened}
    except UnsafeFile as error:
        raise _wrong(f"{options.path} is not read: {error.strerror}") from None
    except _UNREADABLE as error:
        raise _wrong(f"{options.path} cannot be read as a .npz file of plain arrays: {error}") from error


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if an array would take more memory than its entry, or all together take too much."""
    entries = [entry for entry in archive.infolist() if entry.filename.removesuffix(".npy") in _NAMES]
    if sum(entry.file_size for entry in entries) > _LARGEST_BYTES:
        raise ValueError(f"it unpacks to more than {_LARGEST_BYTES:,} bytes")
    for entry in entries:
        with archive.open(entry) as file:
            first = np.lib.format.read_magic(file) == (1, 0)
            read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        if math.prod(shape) * dtype.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} is shorter than its shape {shape} of {dtype}")


def _images(arrays: dict[str, NDArray[Any]], part: str) -> NDArray[np.uint8]:
    """Return the images of a part, (n, c, h, w)."""
    images = _array(arrays, f"x_{part}")
    if images.dtype != np.uint8:
        raise _wrong(f"x_{part} must hold uint8 (0 to 255), not {images.dtype}")
    if images.ndim == 3:
        images = images[..., None]  # (n, h, w, 1)
    if images.ndim != 4 or not 1 <= images.shape[3] <= 4:
        raise _wrong(f"x_{part} must be (n, h, w) or (n, h, w, c) with c from 1 to 4, not {images.shape}")
    height, width = images.shape[1:3]
    if min(height, width) < SMALLEST_SIDE or max(height, width) > LARGEST_SIDE:
        raise _wrong(f"x_{part} has {height}x{width} px; sides must be from {SMALLEST_SIDE} to {LARGEST_SIDE} px")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))  # (n, c, h, w)


def _labels(arrays: dict[str, NDArray[Any]], part: str) -> NDArray[Any]:
    labels = _array(arrays, f"y_{part}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise _wrong(f"y_{part} must be (n,) whole numbers, not {labels.shape} of {labels.dtype}")
    return labels


def _array(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise _wrong(f"the file has no array {name}; it needs x_train and y_train, and x_test and y_test together")
    if len(np.atleast_1d(arrays[name])) == 0:
        raise _wrong(f"{name} is empty")
    return arrays[name]


def _check_lengths(images: NDArray[Any], labels: NDArray[Any], part: str) -> None:
    if len(images) != len(labels):
        raise _wrong(f"x_{part} has {len(images):,} images but y_{part} {len(labels):,} labels")


def _names(options: NpzOptions, values: NDArray[Any]) -> tuple[str, ...]:
    if options.classes is None:
        return tuple(str(value) for value in values)
    if len(options.classes) != len(values):
        raise InvalidInput.at("/classes", f"{len(options.classes)} names for {len(values)} labels in y_train")
    return options.classes


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.at("/path", message)


NPZ = DatasetFormat(
    "arrays x_train, y_train (x_test, y_test) in a .npz file of numpy",
    NpzOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    unlabelled_images=_unlabelled,
)

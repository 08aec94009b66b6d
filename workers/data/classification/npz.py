"""`npz`: arrays in a .npz file of numpy: x_train, y_train, and optionally x_val, y_val, x_test, y_test.

Names and values are those of `arrays`: uint8 images, or values that are exactly such images; labels (n,) or (n, 1) of
whole numbers or names, or one-hot. A class is a label that occurs in y_train, named by the label or by `classes`.
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.classification.arrays import ArrayOptions, Role, dataset_of, roles_of, unlabelled_of
from workers.data.dataset import RawDataset
from workers.data.options import DatasetFormat, existing
from workers.data.recognition import entries_in

LARGEST_BYTES = 8 * 2**30
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    # Headers of arrays are parsed as Python literals; entries may be packed in several ways.
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    tokenize.TokenError,
    struct.error,
    lzma.LZMAError,
)
"""Errors of zipfile and numpy over damaged bytes."""


class NpzOptions(ArrayOptions):
    """Options of the format `npz`."""

    format: Literal["npz"]


def _fingerprint(options: NpzOptions) -> Hashable:
    status = existing(options.path, folder=False, within=options.within).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(options: NpzOptions) -> RawDataset:
    named, notes = _arrays(options)
    return dataset_of(named, options, notes)


def _unlabelled(options: NpzOptions) -> NDArray[np.uint8] | None:
    return unlabelled_of(_arrays(options)[0])


def _arrays(options: NpzOptions) -> tuple[dict[Role, tuple[str, NDArray[Any]]], tuple[str, ...]]:
    """Return the names and the arrays by their roles, and a note on other arrays."""
    path = existing(options.path, folder=False, within=options.within)
    try:
        with open_confined(path, options.within) as file:
            with zipfile.ZipFile(file) as archive:
                roles, notes = roles_of([one.removesuffix(".npy") for one in archive.namelist()])
                check_sizes(archive, list(roles.values()))
            file.seek(0)
            with np.load(file, allow_pickle=False) as opened:
                return {role: (name, opened[name]) for role, name in roles.items()}, notes
    except UnsafeFile as error:
        raise _wrong(f"{options.path} is not read: {error.strerror}") from None
    except UNREADABLE as error:
        way = "; save names of classes as labels.astype('U')" if "allow_pickle" in str(error) else ""
        raise _wrong(f"{options.path} cannot be read as a .npz file of plain arrays: {error}{way}") from error


def check_sizes(archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Raise ValueError if an array would take more memory than its entry, or all together take too much."""
    entries = [entry for entry in archive.infolist() if entry.filename.removesuffix(".npy") in names]
    if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
        raise ValueError(f"it unpacks to more than {LARGEST_BYTES:,} bytes")
    for entry in entries:
        with archive.open(entry) as file:
            check_header(file, entry.filename, entry.file_size)


def check_header(file: IO[bytes], name: str, size: int) -> None:
    """Raise ValueError if the header of an array claims more than its `size` in bytes."""
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} is shorter than its shape {shape} of {dtype}")


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.at("/path", message)


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a .npz file, and a folder that holds one and nothing else."""
    files = [path] if path.is_file() else [one for one in entries_in(path) if one.is_file()]
    return {"path": str(files[0])} if len(files) == 1 and files[0].suffix.lower() == ".npz" else None


NPZ = DatasetFormat(
    "arrays x_train, y_train (x_val, y_val, x_test, y_test) in a .npz file of numpy",
    NpzOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    unlabelled_images=_unlabelled,
    detect=_detect,
)

"""`npy`: a folder with the arrays of `npz` in files of their own: `x_train.npy`, `y_train.npy`, or `train/x.npy`."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.classification.arrays import ArrayOptions, Role, dataset_of, role_of, roles_of, unlabelled_of
from workers.data.classification.npz import LARGEST_BYTES, UNREADABLE, check_header
from workers.data.dataset import RawDataset
from workers.data.imagefiles import printable
from workers.data.notes import note
from workers.data.options import DatasetFormat, existing, stamps
from workers.data.recognition import files_in
from workers.data.walk import contents_of

_SUFFIX = ".npy"


class NpyOptions(ArrayOptions):
    """Options of the format `npy`."""

    format: Literal["npy"]


def _files(options: NpyOptions) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the files by the names of their arrays, and notes on everything else."""
    contents = contents_of(existing(options.path, folder=True, within=options.within), options.within)
    arrays = [path for path in contents.others if path.suffix.lower() == _SUFFIX]
    others = [path for path in (*contents.others, *contents.images) if path not in set(arrays)]
    names = [name[: -len(_SUFFIX)] for name in contents.names(arrays)]
    said = note(contents.names(others), "file is not an array and is not read", "files are not arrays and are not read")
    return dict(zip(names, arrays, strict=True)), said


def _fingerprint(options: NpyOptions) -> Hashable:
    return stamps(_files(options)[0].values())


def _arrays(options: NpyOptions) -> tuple[dict[Role, tuple[str, NDArray[Any]]], tuple[str, ...]]:
    files, notes = _files(options)
    roles, unread = roles_of(list(files))
    sizes = sum(files[name].stat().st_size for name in roles.values())
    if sizes > LARGEST_BYTES:
        raise InvalidInput.at("/path", f"the arrays in {options.path} have more than {LARGEST_BYTES:,} bytes")
    return {role: (name, _loaded(files[name], options)) for role, name in roles.items()}, (*notes, *unread)


def _loaded(path: Path, options: NpyOptions) -> NDArray[Any]:
    try:
        with open_confined(path, options.within) as file:
            check_header(file, path.name, os.fstat(file.fileno()).st_size)
            file.seek(0)
            array: NDArray[Any] = np.load(file, allow_pickle=False)
            return array
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(path)} is not read: {error.strerror}") from None
    except UNREADABLE as error:
        way = "; save names of classes as labels.astype('U')" if "allow_pickle" in str(error) else ""
        raise InvalidInput.at("/path", f"{printable(path)} cannot be read as a plain array: {error}{way}") from error


def _read(options: NpyOptions) -> RawDataset:
    named, notes = _arrays(options)
    return dataset_of(named, options, notes)


def _unlabelled(options: NpyOptions) -> NDArray[np.uint8] | None:
    return unlabelled_of(_arrays(options)[0])


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a folder with an array of images or labels, and such an array itself."""
    folder = path if path.is_dir() else path.parent
    arrays = files_in(path, _SUFFIX) if path.is_dir() else [path] if path.suffix.lower() == _SUFFIX else []
    names = [one.relative_to(folder).as_posix()[: -len(_SUFFIX)] for one in arrays]
    return {"path": str(folder)} if any(role_of(name) for name in names) else None


NPY = DatasetFormat(
    "a folder with x_train.npy, y_train.npy, ... of numpy, as in a .npz file",
    NpyOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    unlabelled_images=_unlabelled,
    detect=_detect,
)

"""`imagefolder`: a folder per class, with the images of that class.

Either `path/CLASS/*.png`, or, with a separate test split, `path/train/CLASS/*.png` and `path/test/CLASS/*.png`.
Every image is decoded once, resized to `size` x `size` and kept in memory; an image that cannot be decoded is an error
that names it. If all images together would take more than `memory_bytes`, they stay in their files: the header of each
is read at once, the pixels by worker processes during training. Hidden files, and files without an image's file
extension, are skipped.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from searchsvc.errors import Fault, InvalidInput
from workers.data.dataset import RawDataset, Split
from workers.data.imagefiles import Decoder, Roots, images_of
from workers.data.options import (
    LARGEST_SIDE,
    SMALLEST_SIDE,
    DatasetFormat,
    ReassessedOptions,
    SplitOptions,
    check_classes,
    existing,
    stamps,
)
from workers.data.walk import files_below


class ImageFolderOptions(SplitOptions, ReassessedOptions):
    """Options of the format `imagefolder`."""

    format: Literal["imagefolder"]
    size: Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)] = 32
    """Side in px to which images are resized."""
    color: bool = True
    """True: three channels; false: a grey channel."""
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Largest size of the decoded images of a split in memory; larger splits are decoded during training."""


def _fingerprint(options: ImageFolderOptions) -> Hashable:
    root = existing(options.path, folder=True, within=options.within)
    return stamps(path for _, path in _files(root, options.within))


def _read(options: ImageFolderOptions) -> RawDataset:
    root = existing(options.path, folder=True, within=options.within)
    own_test = _is_split(root / "train") and _is_split(root / "test")
    train = existing(root / "train", folder=True, within=options.within) if own_test else root
    names = _class_names(train)
    files = _labelled(train, names, options.within)
    images = _split(files, options)
    check_classes(images.labels, names, options.min_images, str(train))
    test_folder = existing(root / "test", folder=True, within=options.within) if own_test else None
    test = _test(test_folder, names, options) if test_folder else None
    return RawDataset(options.name, names, images, test, tuple(path.relative_to(train).as_posix() for _, path in files))


def _test(folder: Path, names: tuple[str, ...], options: ImageFolderOptions) -> Split:
    unknown = sorted(set(_class_names(folder)) - set(names))
    if unknown:
        raise InvalidInput.at("/path", f"class {unknown[0]!r} is in {folder} but not in the train folder")
    return _split(_labelled(folder, names, options.within), options)


def _is_split(folder: Path) -> bool:
    """Return whether a folder contains class folders; a class that happens to be called train or test contains none."""
    return folder.is_dir() and any(path.is_dir() for path in folder.iterdir())


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not names:
        raise InvalidInput.at("/path", f"{folder} has no folder; it needs one per class, with the images of that class")
    strange = [name for name in names if not name.isprintable()]
    if strange:
        raise InvalidInput.at("/path", f"the name of the class folder {strange[0]!a} in {folder} cannot be printed")
    return names


def _labelled(folder: Path, names: tuple[str, ...], within: Roots) -> list[tuple[int, Path]]:
    """Return (label, image) of each image. Raises InvalidInput that names each class without an image."""
    label = {name: index for index, name in enumerate(names)}
    files = [(label[name], path) for name, path in _files(folder, within) if name in label]
    empty = sorted(set(names) - {names[index] for index, _ in files})
    if empty:
        raise InvalidInput(Fault("/path", f"class folder {folder / name} holds no image") for name in empty)
    return files


def _split(files: Sequence[tuple[int, Path]], options: ImageFolderOptions) -> Split:
    """Return images with labels. Raises InvalidInput that names each image that cannot be decoded."""
    labels, paths = np.array([index for index, _ in files], np.int64), tuple(path for _, path in files)
    images, _ = images_of(paths, Decoder(options.size, options.color, options.within), options.memory_bytes)
    return Split(images, labels)


def _files(folder: Path, within: Roots) -> Iterator[tuple[str, Path]]:
    """Yield (name of the class folder, image), sorted; images in folders inside class folders are included."""
    for path in files_below(folder, within):
        yield path.relative_to(folder).parts[0], path


IMAGEFOLDER = DatasetFormat(
    "a folder per class with its images (png, jpg, ...); resized to `size`, colour or grey",
    ImageFolderOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    fitted=lambda shape: {"size": shape[1], "color": shape[0] == 3},
)

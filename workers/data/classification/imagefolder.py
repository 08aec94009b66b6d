"""`imagefolder`: a folder per class, with the images of that class.

Either `path/CLASS/*.png`, or `path/train/CLASS/*.png` with `path/val/CLASS` or `path/test/CLASS` or both (`layout`).
Every image is decoded once, resized to `size` x `size` and kept in memory; an image that cannot be decoded is an error
that names it. If all images together would take more than `memory_bytes`, they stay in their files: the header of each
is read at once, the pixels by worker processes during training. Hidden files, and files without an image's file
extension, are passed over and named in the dataset's notes.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from searchsvc.errors import Fault, InvalidInput
from workers.data.classification.classes import folded, similar_classes
from workers.data.classification.layout import FolderLayout, layout_of
from workers.data.classification.options import ImageFileOptions
from workers.data.dataset import Labels, RawDataset, Split, SplitFiles
from workers.data.imagefiles import Decoder, images_of
from workers.data.imageheaders import ImageHeader
from workers.data.notes import note, oddity_notes
from workers.data.options import (
    FAULTS_LISTED,
    DatasetFormat,
    check_classes,
    existing,
    stamps,
)
from workers.data.splits import SplitName
from workers.data.walk import FolderContents, contents_of, files_below


class ImageFolderOptions(ImageFileOptions):
    """Options of the format `imagefolder`."""

    format: Literal["imagefolder"]
    splits: bool | None = None
    """True: folders called like a split, such as `val`, are splits; false: they are classes.

    None: they are splits if their images are in class folders; an unclear case is refused.
    """


def _fingerprint(options: ImageFolderOptions) -> Hashable:
    root = existing(options.path, folder=True, within=options.within)
    return stamps(files_below(root, options.within))


def _read(options: ImageFolderOptions) -> RawDataset:
    contents = contents_of(existing(options.path, folder=True, within=options.within), options.within)
    layout = layout_of(contents, options.splits)
    folders = {split: _class_folders(contents, folder) for split, folder in layout.splits.items()}
    classes = tuple(folders["train"])
    _check_known(layout, folders, classes)
    empty = [one for inner in folders.values() for one in inner.values() if not contents.images_below(one)]
    if empty:
        raise InvalidInput(Fault("/path", f"class folder {one} holds no image") for one in empty[:FAULTS_LISTED])
    found = {split: _found(contents, folder) for split, folder in layout.splits.items()}
    missing = [line for split, one in found.items() if split != "train" for line in _missing(one, classes, split)]
    labels = {split: np.array([classes.index(name) for name in one.classes], np.int64) for split, one in found.items()}
    parts: dict[SplitName, Split] = {}
    headers: list[ImageHeader] = []
    for split, one in found.items():
        parts[split], read = _split(one, labels[split], options)
        headers += read
    check_classes(labels["train"], classes, options.min_images, str(layout.splits["train"]))
    odd = oddity_notes(contents.names([path for one in found.values() for path in one.paths]), headers)
    notes = (*layout.notes, *contents.notes, *similar_classes(classes), *missing, *odd)
    return RawDataset(options.name, classes, parts["train"], parts.get("test"), parts.get("validation"), notes)


@dataclass(frozen=True, slots=True)
class _Found:
    """The images below a folder of class folders: their paths, those within the folder, and the names of the classes.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    classes: tuple[str, ...]


def _class_folders(contents: FolderContents, folder: Path) -> dict[str, Path]:
    """Return the class folders in a folder by their names, sorted. Raises InvalidInput that names bad folders."""
    folders = {one.name: one for one in contents.folders[folder]}
    strange = [name for name in folders if not name.isprintable()]
    if strange:
        raise InvalidInput.at("/path", f"the name of the class folder {strange[0]!a} in {folder} cannot be printed")
    return folders


def _check_known(
    layout: FolderLayout, folders: Mapping[SplitName, Mapping[str, Path]], classes: tuple[str, ...]
) -> None:
    """Raise InvalidInput that names each class which is not among the classes of train."""
    alike = {folded(name): name for name in classes}
    faults = []
    for split, inner in folders.items():
        for name in sorted(set(inner) - set(classes)):
            message = f"class {name!r} is in {layout.splits[split]} but not in the train folder"
            if (other := alike.get(folded(name))) is not None:
                message += f", which has {other!a}: rename one of the two"
            faults.append(Fault("/path", message))
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])


def _found(contents: FolderContents, folder: Path) -> _Found:
    """Return the images in the class folders of a folder; images in folders inside class folders are included."""
    start = os.path.join(folder, "")
    below = [path for path in contents.images if str(path).startswith(start)]
    names = [str(path)[len(start) :] for path in below]
    inside = [place for place, name in enumerate(names) if os.sep in name]
    paths, names = [below[place] for place in inside], [names[place] for place in inside]
    return _Found(tuple(paths), tuple(names), tuple(name.partition(os.sep)[0] for name in names))


def _missing(found: _Found, classes: tuple[str, ...], split: str) -> tuple[str, ...]:
    absent = sorted(set(classes) - set(found.classes))
    return note(absent, f"class has no image in {split}", f"classes have no image in {split}")


def _split(
    found: _Found, labels: Labels, options: ImageFolderOptions
) -> tuple[Split, tuple[ImageHeader, ...]]:
    """Return images with labels, and their headers. Raises InvalidInput that names images that cannot be decoded."""
    decoder = Decoder(options.size, options.color, options.within)
    images, headers = images_of(found.paths, decoder, options.memory_bytes)
    return Split(images, labels, found.names, SplitFiles(found.paths, options.within)), headers


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a folder with images in folders; whether these are classes is said when they are read."""
    try:
        contents = contents_of(path) if path.is_dir() else None
    except (OSError, InvalidInput):
        return None
    if contents is None or len(contents.images) == contents.counts[path]:
        return None
    return {"path": str(path)}


IMAGEFOLDER = DatasetFormat(
    "a folder per class with its images (png, jpg, ...); resized to `size`, colour or grey",
    ImageFolderOptions,
    _read,
    _fingerprint,
    paths=("path", "reassessed"),
    fitted=lambda shape: {"size": shape[1], "color": shape[0] == 3},
    detect=_detect,
    rank=0,
)

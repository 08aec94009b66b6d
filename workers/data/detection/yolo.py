"""`yolo`: images with a text file each, a line per object: class, and the box's centre and size as shares of the image.

The labels of `.../images/a.jpg` are in `.../labels/a.txt`, or beside the image. An image without labels is an image
without objects. `data.yaml` names classes and splits; without it, classes come from `classes.txt` or the section, and
splits from the names of folders.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import is_confined
from workers.data.detection.annotated import FAULTS_LISTED, AnnotatedImages, raw_scenes, remark_unused
from workers.data.detection.annotationfiles import split_on_path, without_train
from workers.data.detection.dataset import RawScenes
from workers.data.detection.imagenames import ImageFolder
from workers.data.detection.objects import Corners, StatedObjects
from workers.data.detection.options import BoxFilesOptions
from workers.data.detection.remarks import RemarkKind, Remarks
from workers.data.detection.yolodata import YoloData, checked_classes, class_file, read_data, text_of
from workers.data.imagefiles import Roots, printable
from workers.data.notes import listed
from workers.data.options import DatasetFormat, existing, stamps
from workers.data.recognition import entries_in, files_in, head_of
from workers.data.splits import SplitName
from workers.data.walk import contents_of

_YAML_NAMES: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_IMAGES, _LABELS = "images", "labels"
_LOOKED_AT: Final = 20
"""Number of label files that are looked at to recognise the format."""
_SHARE: Final = re.compile(rb"-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?")
_PIXELS = 2.0
"""A share above this is a number of pixels."""

_NO_LABELS = RemarkKind(
    "image has no label file and counts as without objects", "images have no label files and count as without objects"
)
_SPARE = RemarkKind("label file has no image and is not used", "label files have no images and are not used")
_AS_POLYGONS = (
    "lines of 7 or more numbers, which are taken as polygons or oriented boxes and read as the upright boxes around "
    "them (lines of keypoints need `kpt_shape` in data.yaml)"
)
_SEGMENTS = RemarkKind(
    f"label file has {_AS_POLYGONS}",
    f"label files have {_AS_POLYGONS}",
)
_SIXTH = RemarkKind(
    "label file has a sixth column (a confidence), which is not read",
    "label files have a sixth column (a confidence), which is not read",
)
_POSES = RemarkKind("label file has keypoints, which are not read", "label files have keypoints, which are not read")
_SAME = RemarkKind(
    "split has the same place as train and is not used", "splits have the same place as train and are not used"
)
_NO_SPLIT = RemarkKind("image is in no split and is not used", "images are in no split and are not used")


class YoloOptions(BoxFilesOptions):
    """Options of the format `yolo`."""

    format: Literal["yolo"]
    data: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The description, relative to `path`; None: `data.yaml`, if it is there."""
    classes: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] | None = None
    """Names of the classes by their numbers; None: as the files name them."""


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels of an image: number of the class, and corners as shares."""

    numbers: list[int]
    corners: list[Corners]


def _root(options: YoloOptions) -> tuple[Path, str | None]:
    """Return the folder, and the name of the description if the section names it; `path` may be the description."""
    path = Path(options.path).expanduser()
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        return existing(path, folder=False, within=options.within).parent, path.name
    return existing(options.path, folder=True, within=options.within), options.data


def _fingerprint(options: YoloOptions) -> Hashable:
    root, name = _root(options)
    data = _data(root, name, options)
    folders = {root}
    for places in _located(root, data, options.within, Remarks()).values():
        folders |= {place for place in places if place.is_dir() and not place.is_relative_to(root)}
    return stamps(path for folder in sorted(folders) for path in contents_of(folder, options.within).files)


def _read(options: YoloOptions) -> RawScenes:
    remarks = Remarks()
    root, name = _root(options)
    data = _data(root, name, options)
    if data.are_numbered:
        remarks.say(f"{data.file.name} names no class; they are called {listed(data.classes)}")
    folder = ImageFolder(root, options.within)
    located = _located(root, data, options.within, remarks) if "train" in data.places else None
    images = _split_images(folder, remarks) if located is None else _images_of(located, root, options.within)
    parts, read = _parts(root, data, images, options.within, remarks)
    folders = {path.parent for path in read}
    spare = [
        path for path in folder.contents.others if path.suffix.lower() == ".txt" and path.parent in folders - {root}
    ]
    spare = [path for path in spare if path not in read and path != data.file and path.name != "classes.txt"]
    remarks.add(_SPARE, *folder.contents.names(spare))
    used = {path for part in parts.values() for path in part.paths} | read | {data.file, *spare}
    used |= {place for places in (located or {}).values() for place in places}
    remark_unused([folder], used, remarks)
    return raw_scenes(options, parts, remarks)


# ---- description and splits ------------------------------------------------------------------------------------------


def _data(root: Path, name: str | None, options: YoloOptions) -> YoloData:
    """Return the description of the dataset; classes of the section replace its own."""
    found = _described(root, name, options.within)
    if options.classes is not None:
        try:
            classes = checked_classes(options.classes)
        except ValueError as error:
            raise InvalidInput.at("/classes", str(error)) from None
        described = YoloData(root, ()) if found is None else found
        return replace(described, classes=classes, are_numbered=False)
    if found is None:
        message = f"there is neither data.yaml nor classes.txt in {printable(root)}"
        raise InvalidInput.at("/path", f"{message}: name the classes in the section, by `classes`")
    if not found.classes:
        message = f"{printable(found.file)} has no `names`: list the classes there, or in the section, by `classes`"
        raise InvalidInput.at("/path", message)
    return found


def _described(root: Path, name: str | None, within: Roots) -> YoloData | None:
    if name is not None:
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name:
            raise InvalidInput.at("/data", "must not lead out of the dataset's folder")
        return read_data(existing(root / name, folder=False, pointer="/data", within=within), within)
    for usual in _YAML_NAMES:
        if (root / usual).is_file():
            return read_data(root / usual, within)
    others = sorted(path for path in root.iterdir() if path.suffix.lower() in (".yaml", ".yml"))
    if len(others) == 1:
        return read_data(others[0], within)
    if others:
        raise InvalidInput.at("/data", f"{listed([path.name for path in others])} may describe the dataset: name one")
    for folder in (root, root / _LABELS, root / "train"):
        if (found := class_file(folder, within)) is not None:
            return found
    return None


def _located(root: Path, data: YoloData, within: Roots, remarks: Remarks) -> dict[SplitName, list[Path]]:
    """Return the folders and lists of each split that the description names. Raises InvalidInput if one is missing."""
    faults: list[Fault] = []
    found: dict[SplitName, list[Path]] = {}
    for split in (one for one in ("train", "validation", "test") if one in data.places):
        found[split] = []
        for place in data.places[split]:
            try:
                found[split].append(_place(root, data, place, within, remarks))
            except InvalidInput as error:
                faults += error.faults
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    same = [split for split in found if split != "train" and found[split] == found.get("train")]
    remarks.add(_SAME, *same)
    return {split: places for split, places in found.items() if split not in same}


def _place(root: Path, data: YoloData, place: str, within: Roots, remarks: Remarks) -> Path:
    """Return the folder or list of a place, which may be written for another folder or machine."""
    written = PurePosixPath(place.replace("\\", "/"))
    bases = [root / PurePosixPath(data.base.replace("\\", "/")), root]
    inside = [part for part in written.parts if part not in ("..", "/", ".")]
    tries = [base / written for base in bases]
    tries += [root.joinpath(*inside[start:]) for start in range(max(1, len(inside) - 1))]
    for number, path in enumerate(tries):
        if is_confined(path, within) and path.exists():
            location = existing(path, folder=path.is_dir(), within=within)
            if number >= len(bases):
                remarks.say(f"{data.file.name} names {printable(place)}; read is {path.relative_to(root).as_posix()}")
            return location
    reason = "is not there" if within is None else f"is not there, or leads out of {' and '.join(within)}"
    message = f"{printable(data.file)} names {printable(place)}, which {reason}"
    raise InvalidInput.at("/path", f"{message}: correct it, or remove it from the file")


def _images_of(located: Mapping[SplitName, Sequence[Path]], root: Path, within: Roots) -> dict[SplitName, list[Path]]:
    """Return the images of each split at its places."""
    return {
        split: [image for place in places for image in _images_at(place, root, within)]
        for split, places in located.items()
    }


def _split_images(folder: ImageFolder, remarks: Remarks) -> dict[SplitName, list[Path]]:
    """Return the images of each split by the names of their folders."""
    found: dict[SplitName | None, list[Path]] = {}
    for path in folder.contents.images:
        found.setdefault(split_on_path(path, folder.path), []).append(path)
    spare = found.pop(None, [])
    if "train" in found:
        remarks.add(_NO_SPLIT, *folder.contents.names(spare))
    elif spare:
        found["train"] = spare
    elif len(found) == 1:
        found = {"train": next(iter(found.values()))}
    elif found:
        raise without_train(f"splits {listed(sorted(map(str, found)))}")
    else:
        raise InvalidInput.at("/path", f"{printable(folder.path)} holds no image")
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _images_at(place: Path, root: Path, within: Roots) -> list[Path]:
    if place.is_dir():
        below = contents_of(place, within).images
        if not below:
            raise InvalidInput.at("/path", f"{printable(place)} holds no image")
        return below
    images: list[Path] = []
    missing: list[str] = []
    for line in filter(None, map(str.strip, text_of(place, within).splitlines())):
        tries = [place.parent / line, root / line, *(root / tail for tail in _tails(line))]
        image = next((path for path in tries if is_confined(path, within) and path.is_file()), None)
        if image is None:
            missing.append(line)
        else:
            images.append(Path(os.path.normpath(image)))
    if missing:
        message = f"{printable(place)} lists images that are not there: {listed(missing)}"
        raise InvalidInput.at("/path", message)
    return images


def _tails(line: str) -> Iterator[PurePosixPath]:
    """Yield the ends of a path of another machine, of two parts or more, the longest first."""
    parts = [part for part in PurePosixPath(line.replace("\\", "/")).parts if part not in ("/", "..")]
    for start in range(max(1, len(parts) - 1)):
        yield PurePosixPath(*parts[start:])


# ---- labels ----------------------------------------------------------------------------------------------------------


def _parts(
    root: Path, data: YoloData, images: Mapping[SplitName, Sequence[Path]], within: Roots, remarks: Remarks
) -> tuple[dict[SplitName, AnnotatedImages], set[Path]]:
    """Return the annotated images of each split, and the label files that were read."""
    faults: list[Fault] = []
    read: set[Path] = set()
    parts: dict[SplitName, AnnotatedImages] = {}
    for split, paths in images.items():
        names = tuple(_name(path, root) for path in paths)
        image: list[int] = []
        labels = _Labels([], [])
        for position, path in enumerate(paths):
            file = _label_file(path, root)
            if file is None:
                remarks.add(_NO_LABELS, names[position])
                continue
            read.add(file)
            try:
                lines = _LabelFile(_name(file, root), data, remarks).objects(text_of(file, within))
            except InvalidInput as error:
                faults += error.faults
                continue
            image += [position] * len(lines.numbers)
            labels.numbers.extend(lines.numbers)
            labels.corners.extend(lines.corners)
        stated = np.zeros((len(paths), 2), np.int64)
        objects = StatedObjects.of(image, labels.numbers, labels.corners, shares=True)
        parts[split] = AnnotatedImages("/path", data.classes, tuple(paths), names, stated, objects)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    return parts, read


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _label_file(image: Path, root: Path) -> Path | None:
    """Return the label file of an image: `images` replaced by `labels` on its path, or beside it."""
    base = root if image.is_relative_to(root) else Path(image.anchor)
    parts = list(image.relative_to(base).parts)
    folders = [place for place, part in enumerate(parts[:-1]) if part.casefold() == _IMAGES]
    places = [base.joinpath(*parts[:place], _LABELS, *parts[place + 1 :]) for place in reversed(folders)] + [image]
    if len(parts) > 1:
        places.append(image.parent / _LABELS / image.name)
    return next((file for place in places if (file := place.with_suffix(".txt")).is_file()), None)


class _LabelFile:
    """Reads the lines of a label file. Faults name the file and the line."""

    def __init__(self, name: str, data: YoloData, remarks: Remarks) -> None:
        self._name, self._data, self._remarks = name, data, remarks

    def objects(self, text: str) -> _Labels:
        labels = _Labels([], [])
        kinds: set[RemarkKind] = set()
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                label, corners = self._object(line.split(), kinds)
            except ValueError as error:
                raise InvalidInput.at("/path", f"{printable(self._name)}, line {number}: {error}") from None
            labels.numbers.append(label)
            labels.corners.append(corners)
        for kind in sorted(kinds):
            self._remarks.add(kind, self._name)
        return labels

    def _object(self, words: Sequence[str], kinds: set[RemarkKind]) -> tuple[int, Corners]:
        values = [_number(word) for word in words]
        count = len(values)
        if count in (5, 6):
            if count == 6:
                kinds.add(_SIXTH)
            return self._label(values[0]), self._corners(values[1:5])
        if (keypoints := self._data.keypoints) is not None:
            if count != keypoints.columns:
                raise ValueError(f"{count} number(s) are no object: by `kpt_shape`, it has {keypoints.columns}, or 5")
            kinds.add(_POSES)
            return self._label(values[0]), self._corners(values[1:5])
        if count < 7 or count % 2 == 0:
            what = "a box has 5, a polygon 7 or more of odd number"
            raise ValueError(f"{count} number(s) are no object: {what}, and keypoints need `kpt_shape` in data.yaml")
        if max(values[1:]) >= _PIXELS:
            message = f"{max(values[1:]):g} is no coordinate of a polygon as a share of the image"
            raise ValueError(f"{message}; divide px by its width and height; keypoints need `kpt_shape` in data.yaml")
        kinds.add(_SEGMENTS)
        return self._label(values[0]), self._corners(values[1:])

    def _label(self, value: float) -> int:
        if value != int(value) or not 0 <= value < len(self._data.classes):
            count = len(self._data.classes)
            raise ValueError(f"there is no class {value:g}: the {count} classes have the numbers 0 to {count - 1}")
        return int(value)

    def _corners(self, values: Sequence[float]) -> Corners:
        if max(map(abs, values)) > _PIXELS:
            raise ValueError(f"{max(values, key=abs):g} is no share of an image; divide px by its width and height")
        if len(values) == 4:
            x, y, width, height = values
            return x - width / 2, y - height / 2, x + width / 2, y + height / 2
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{printable(word[:60])!r} is no finite number; a line is numbers with spaces between them")
    return number


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a description of classes beside images, or text files of numbers with boxes; or a description itself.
    """
    if path.is_file():
        return {"path": str(path)} if _is_description(path) else None
    if not path.is_dir():
        return None
    described = any(map(_is_description, entries_in(path)))
    texts = [one for one in files_in(path, ".txt") if one.stat().st_size][:_LOOKED_AT]
    return {"path": str(path)} if described or any(map(_is_label_file, texts)) else None


def _is_description(path: Path) -> bool:
    if path.suffix.lower() not in (".yaml", ".yml") or not path.is_file():
        return False
    keys = {line.partition(b":")[0] for line in head_of(path).splitlines()}
    return b"names" in keys and bool(keys & {b"train", b"val", b"nc", b"path"})


def _is_label_file(path: Path) -> bool:
    words = next(iter(head_of(path).splitlines()), b"").split()
    return len(words) >= 5 and words[0].isdigit() and all(_SHARE.fullmatch(word) for word in words[1:])


YOLO = DatasetFormat(
    "images with label files of YOLO (class and box per line) and data.yaml",
    YoloOptions,
    _read,
    _fingerprint,
    fitted=lambda shape: {"size": shape[1]},
    detect=_detect,
)

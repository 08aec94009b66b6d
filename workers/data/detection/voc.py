"""`voc`: a folder of images and annotations in Pascal VOC's format, a file of xml per image.

Read are the devkit's layout (`Annotations/`, `JPEGImages/`, `ImageSets/Main/train.txt` and so on), and xml beside its
images or in folders of splits, as labelImg and Roboflow write it. Classes are the names of the objects, sorted.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.detection.annotated import FAULTS_LISTED, AnnotatedImages, raw_scenes, remark_unused
from workers.data.detection.annotationfiles import entries_of, split_on_path, without_train
from workers.data.detection.dataset import RawScenes
from workers.data.detection.imagenames import ImageFolder
from workers.data.detection.objects import Corners, StatedObjects
from workers.data.detection.options import BoxFilesOptions
from workers.data.detection.remarks import RemarkKind, Remarks
from workers.data.detection.vocxml import VocImage, read_xml
from workers.data.imagefiles import Roots, printable
from workers.data.notes import listed
from workers.data.options import DatasetFormat, existing, stamps
from workers.data.recognition import files_in, head_of
from workers.data.splits import SplitName
from workers.data.walk import contents_of

_YEAR: Final = re.compile(r"VOC\d{4}")
_LOOKED_AT: Final = 20
"""Number of files of xml that are looked at to recognise the format."""
_LISTS: Final = Path("ImageSets", "Main")

_OTHER_NAME = RemarkKind(
    "image is found by the name of its xml file, not by `filename`",
    "images are found by the names of their xml files, not by `filename`",
)
_OTHER_STEM = RemarkKind(
    "image is found by `filename`, not by the name of its xml file",
    "images are found by `filename`, not by the names of their xml files",
)
_POLYGON = RemarkKind(
    "image has objects with polygons instead of boxes", "images have objects with polygons instead of boxes"
)
_DIFFICULT = RemarkKind(
    "image has difficult objects, which are not trained on and need not be found",
    "images have difficult objects, which are not trained on and need not be found",
)
_NO_SPLIT = RemarkKind(
    "file of annotations is in no split and is not used", "files of annotations are in no split and are not used"
)
_NO_XML = RemarkKind(
    "listed image of the test split has no annotations", "listed images of the test split have no annotations"
)


class VocOptions(BoxFilesOptions):
    """Options of the format `voc`."""

    format: Literal["voc"]
    first_pixel: Literal[0, 1] | None = None
    """The number of the first pixel. None: 1 as in the devkit, unless a box of the dataset begins before 1."""


@dataclass(slots=True)
class _Rows:
    """The images of a split with their annotations."""

    paths: list[Path] = field(default_factory=list)
    annotations: list[VocImage] = field(default_factory=list)


def _fingerprint(options: VocOptions) -> Hashable:
    return stamps(contents_of(existing(options.path, folder=True, within=options.within), options.within).files)


def _read(options: VocOptions) -> RawScenes:
    remarks = Remarks()
    base = _base(existing(options.path, folder=True, within=options.within), options.within)
    contents = ImageFolder(base, options.within).contents
    files = [path for path in contents.others if path.suffix.lower() == ".xml"]
    own = base / "JPEGImages"
    images = ImageFolder(own if own.is_dir() else base, options.within)
    if not files:
        raise InvalidInput.at("/path", f"there is no file of annotations (*.xml) below {printable(base)}")
    splits = _splits(base, files, options.within, remarks)
    rows = _rows(base, splits, images.contents.images, options.within, remarks)
    parts = _parts(images.path, rows, options.first_pixel, remarks)
    used = {path for part in parts.values() for path in part.paths} | set(files) | {*_lists(base).values()}
    remark_unused([images, ImageFolder(base, options.within)], used, remarks)
    return raw_scenes(options, parts, remarks)


def _base(root: Path, within: Roots) -> Path:
    """Return the folder of the devkit's only year, or the root. Raises InvalidInput that names several years."""
    folders = [path for path, is_folder in entries_of(root, within) if is_folder]
    for path in [path for path in folders if path.name == "VOCdevkit"]:
        folders += [inner for inner, is_folder in entries_of(path, within) if is_folder]
    years = [path for path in folders if _YEAR.fullmatch(path.name)]
    if len(years) > 1:
        names = listed([path.relative_to(root).as_posix() for path in years])
        raise InvalidInput.at("/path", f"{printable(root)} has several years ({names}): name one of them as `path`")
    return years[0] if years else root


# ---- splits ----------------------------------------------------------------------------------------------------------


def _splits(base: Path, files: Sequence[Path], within: Roots, remarks: Remarks) -> dict[SplitName, list[Path]]:
    """Return the files of annotations of each split, from the devkit's lists or the names of folders."""
    if lists := _lists(base):
        return _listed_splits(base, files, lists, within, remarks)
    found: dict[SplitName | None, list[Path]] = {}
    for path in files:
        found.setdefault(split_on_path(path, base), []).append(path)
    spare = found.pop(None, [])
    if "train" in found:
        remarks.add(_NO_SPLIT, *(path.relative_to(base).as_posix() for path in spare))
    elif spare:
        found["train"] = spare
    elif len(found) == 1:
        found = {"train": next(iter(found.values()))}
    else:
        raise without_train(f"splits {listed(sorted(map(str, found)))}")
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _lists(base: Path) -> dict[str, Path]:
    """Return the lists of the devkit that are there, by name."""
    lists = {name: base / _LISTS / f"{name}.txt" for name in ("train", "val", "trainval", "test")}
    return {name: path for name, path in lists.items() if path.is_file()}


def _listed_splits(
    base: Path, files: Sequence[Path], lists: Mapping[str, Path], within: Roots, remarks: Remarks
) -> dict[SplitName, list[Path]]:
    names: dict[SplitName, str] = {"train": "train", "validation": "val", "test": "test"}
    if "train" not in lists:
        names = {"train": "trainval" if "trainval" in lists else "val", "test": "test"}
    by_stem = {path.stem: path for path in files}
    chosen: dict[SplitName, list[Path]] = {}
    faults = []
    for split, name in names.items():
        if name not in lists:
            continue
        stems = _stems(lists[name], within)
        missing = [stem for stem in stems if stem not in by_stem]
        if split == "test" and len(missing) == len(stems):
            remarks.add(_NO_XML, *missing)  # the devkit's own test lists came without annotations
        elif missing:
            faults.append(Fault("/path", f"{name}.txt lists images without annotations: {listed(missing)}"))
        else:
            chosen[split] = [by_stem[stem] for stem in stems]
    if faults:
        raise InvalidInput(faults)
    if not chosen.get("train"):
        raise without_train(f"lists {listed(sorted(lists))}")
    used = {path for paths in chosen.values() for path in paths}
    remarks.add(_NO_SPLIT, *(path.relative_to(base).as_posix() for path in files if path not in used))
    remarks.say(f"splits are those of {_LISTS.as_posix()}: {', '.join(f'{names[split]}.txt' for split in chosen)}")
    return chosen


def _stems(path: Path, within: Roots) -> list[str]:
    """Return the first word of each line, without repetitions."""
    try:
        with open_confined(path, within) as file:
            lines = file.read().decode("utf-8-sig").splitlines()
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(path)} is not read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput.at("/path", f"{printable(path)} is not UTF-8 text") from None
    return list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))


# ---- images ----------------------------------------------------------------------------------------------------------


def _rows(
    base: Path, splits: Mapping[SplitName, Sequence[Path]], images: Sequence[Path], within: Roots, remarks: Remarks
) -> dict[SplitName, _Rows]:
    """Return the images of each split. Raises InvalidInput with the first faults of all files."""
    index: dict[str, list[Path]] = {}
    for path in images:
        for key in dict.fromkeys((path.name.casefold(), path.stem.casefold())):
            index.setdefault(key, []).append(path)
    faults: list[Fault] = []
    rows: dict[SplitName, _Rows] = {}
    for split, files in splits.items():
        rows[split] = _Rows()
        for file in files:
            try:
                annotations = read_xml(file, within)
                rows[split].paths.append(_image_of(base, file, annotations, index, remarks))
                rows[split].annotations.append(annotations)
            except InvalidInput as error:
                faults += error.faults
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    return rows


def _image_of(
    base: Path, file: Path, annotations: VocImage, index: Mapping[str, Sequence[Path]], remarks: Remarks
) -> Path:
    """Return the image of a file of annotations: by the file's own name, which the devkit goes by, or by `filename`."""
    place = file.relative_to(base).as_posix()
    own = _nearest(base, file, index.get(file.stem.casefold(), ()))
    named = _nearest(base, file, index.get(annotations.file_name.casefold(), ())) if annotations.file_name else own
    if len({*own, *named}) > 1:
        names = listed([path.relative_to(base).as_posix() for path in dict.fromkeys((*own, *named))])
        raise InvalidInput.at("/path", f"{printable(place)} may be about {names}: rename it like its image")
    if not own and not named:
        wanted = annotations.file_name or f"an image called {file.stem}"
        raise InvalidInput.at("/path", f"there is no image for {printable(place)}: {printable(wanted)}")
    if not named:
        remarks.add(_OTHER_NAME, place)
    if not own:
        remarks.add(_OTHER_STEM, place)
    return (*own, *named)[0]


def _nearest(base: Path, file: Path, images: Sequence[Path]) -> Sequence[Path]:
    """Return the images in the folder of a file, otherwise those of its split, otherwise all of them."""
    beside = [path for path in images if path.parent == file.parent]
    alike = [path for path in images if split_on_path(path, base) == split_on_path(file, base)]
    return beside or alike or images


def _parts(
    folder: Path, rows: Mapping[SplitName, _Rows], first_pixel: int | None, remarks: Remarks
) -> dict[SplitName, AnnotatedImages]:
    every = [annotations for part in rows.values() for annotations in part.annotations]
    classes = tuple(sorted({one.name for annotations in every for one in annotations.objects}))
    first = _first_pixel(every, first_pixel, remarks)
    label = {name: place for place, name in enumerate(classes)}
    return {
        split: AnnotatedImages(
            "/path",
            classes,
            tuple(part.paths),
            names := tuple(path.relative_to(folder).as_posix() for path in part.paths),
            np.array([(one.height, one.width) for one in part.annotations], np.int64).reshape(-1, 2),
            _objects(part.annotations, names, label, first, remarks),
        )
        for split, part in rows.items()
    }


def _objects(
    annotations: Sequence[VocImage], names: Sequence[str], label: Mapping[str, int], first: int, remarks: Remarks
) -> StatedObjects:
    for name, image in zip(names, annotations, strict=True):
        if any(one.from_polygon for one in image.objects):
            remarks.add(_POLYGON, name)
        if any(one.difficult for one in image.objects):
            remarks.add(_DIFFICULT, name)
    pairs = [(place, one) for place, image in enumerate(annotations) for one in image.objects]
    return StatedObjects.of(
        [place for place, _ in pairs],
        [label[one.name] for _, one in pairs],
        [_from_zero(one.corners, 0 if one.from_polygon else first) for _, one in pairs],
        [one.difficult for _, one in pairs],
    )


def _from_zero(corners: Corners, first: int) -> Corners:
    """Return a box in px from the image's corner; with `first` 1, it reaches from the first to the last pixel."""
    left, top, right, bottom = corners
    return left - first, top - first, right, bottom


def _first_pixel(annotations: Sequence[VocImage], stated: int | None, remarks: Remarks) -> int:
    starts = list(_starts(annotations))
    first = stated if stated is not None else int(min(starts, default=1.0) >= 1)
    if first:
        remarks.say("coordinates count pixels from 1, as in the VOC devkit: xmin and ymin are reduced by 1")
    else:
        why = "as the section says" if stated is not None else "as boxes begin at 0"
        remarks.say(f"coordinates count pixels from 0, {why}")
    return first


def _starts(annotations: Sequence[VocImage]) -> Iterator[float]:
    for image in annotations:
        for one in image.objects:
            if not one.from_polygon:
                yield min(one.corners[:2])


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a folder with annotations in xml below it."""
    files = files_in(path, ".xml")[:_LOOKED_AT] if path.is_dir() else []
    return {"path": str(path)} if any(b"<annotation" in head_of(one) for one in files) else None


VOC = DatasetFormat(
    "a folder of images and annotations in Pascal VOC's form (an xml file per image)",
    VocOptions,
    _read,
    _fingerprint,
    fitted=lambda shape: {"size": shape[1]},
    detect=_detect,
)

"""Conversion of annotated images to scenes: the steps that all file formats share.

Sizes of images come from their files. Classes without an object are left out. An image belongs to one split only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import Fault, InvalidInput
from workers.data.dataset import Labels, SplitFiles
from workers.data.detection.dataset import RawScenes, Scenes
from workers.data.detection.imagenames import ImageFolder
from workers.data.detection.objects import StatedObjects, counts_of, grouped, placed
from workers.data.detection.options import BoxFilesOptions
from workers.data.detection.picturefiles import PictureFiles, bytes_of, sizes_of
from workers.data.detection.remarks import UNUSED_ANNOTATIONS, RemarkKind, Remarks
from workers.data.imagefiles import Roots, for_all, header_of, printable
from workers.data.imageheaders import ImageHeader
from workers.data.notes import listed, oddity_notes
from workers.data.splits import SplitName

FAULTS_LISTED = 20
_FAR = 1.0
"""Distance in px by which a box must lead out of an image to show that it belongs to an image of another size."""
_SIDEWAYS = range(5, 9)
"""Orientations that exchange height and width."""

_NO_SIZE = RemarkKind(
    "image has no usable size in the annotations; it is that of the file",
    "images have no usable size in the annotations; it is that of the file",
)
_TURNED_WITH = RemarkKind(
    "image is annotated as it is stored; its boxes are turned upright with it",
    "images are annotated as they are stored; their boxes are turned upright with them",
)
_WRONG_TURN = RemarkKind(
    "image has the size before its EXIF turn in the annotations, but boxes of the upright image",
    "images have the sizes before their EXIF turns in the annotations, but boxes of the upright images",
)
_COPIES = RemarkKind(
    "object is the exact repetition of another and is left out",
    "objects are exact repetitions of others and are left out",
)
_LEFT_OUT = RemarkKind("class without a box is left out", "classes without a box are left out")
_UNLISTED = RemarkKind("image has no annotations and is not used", "images have no annotations and are not used")
_OTHERS = RemarkKind("file is not an image and is not read", "files are not images and are not read")
_HIDDEN = RemarkKind("hidden or system entry is passed over", "hidden or system entries are passed over")
_UNDECODED = RemarkKind(
    "image is of a format that is not read (save it as PNG)",
    "images are of formats that are not read (save them as PNG)",
)
_DEAD = RemarkKind("entry is a dead link or no plain file", "entries are dead links or no plain files")
_LOOPS = RemarkKind("link to a folder around it is passed over", "links to folders around them are passed over")


@dataclass(frozen=True, slots=True)
class AnnotatedImages:
    """n images of a split with their objects."""

    pointer: str
    """The option that names the annotations."""
    classes: tuple[str, ...]
    """The classes that the annotations declare; labels of the objects are indices of them."""
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    """Names of the images, as messages and label files have them."""
    stated: NDArray[np.int64]
    """(n, 2): height and width according to the annotations, in px; 0 if they do not state them."""
    objects: StatedObjects


@dataclass(frozen=True, slots=True)
class _Placed:
    """The images of a split with sizes and objects in px."""

    part: AnnotatedImages
    sizes: NDArray[np.int64]
    objects: StatedObjects
    fates: Counter[str]

    @property
    def images_of_classes(self) -> Mapping[str, int]:
        """Number of images with each declared class, without crowds."""
        seen = np.column_stack([self.objects.image, self.objects.labels])[~self.objects.crowd]  # (a', 2)
        counts = np.bincount(np.unique(seen, axis=0)[:, 1], minlength=len(self.part.classes)).tolist()
        return dict(zip(self.part.classes, counts, strict=True))


def raw_scenes(options: BoxFilesOptions, parts: Mapping[SplitName, AnnotatedImages], remarks: Remarks) -> RawScenes:
    """Return the scenes of the splits; those of `train` are split further where other splits are missing.

    Raises InvalidInput that names images which are missing, unusable or in two splits, and classes with too few images.
    """
    headers = _headers(parts, options.within)
    measured = {split: _measured(part, headers[split], remarks) for split, part in parts.items()}
    classes = _classes(measured, options.min_images, remarks)
    scenes: dict[SplitName, Scenes] = {}
    counts: Counter[str] = Counter()
    for split, images in measured.items():
        scenes[split], counted = _scenes(images, classes, options)
        counts.update(counted)
    names = [name for part in parts.values() for name in part.names]
    oddities = oddity_notes(names, [header for some in headers.values() for header in some])
    return RawScenes(
        options.name,
        classes,
        options.size,
        scenes["train"],
        scenes.get("validation"),
        scenes.get("test"),
        counts,
        (*remarks.notes, *oddities),
    )


def remark_unused(folders: Iterable[ImageFolder], used: set[Path], remarks: Remarks) -> None:
    """Add remarks on everything in folders that is neither an image of the dataset nor a file that was read: `used`."""
    said = set(used)
    named = remarks.places(UNUSED_ANNOTATIONS)
    for folder in folders:
        said |= {folder.path / name for name in named}
        contents = folder.contents
        for kind, paths in (
            (_UNLISTED, contents.images),
            (_UNDECODED, contents.undecoded),
            (_OTHERS, contents.others),
            (_HIDDEN, contents.hidden),
            (_DEAD, contents.dead),
            (_LOOPS, contents.loops),
        ):
            new = [path for path in paths if path not in said]
            said.update(new)
            if new:
                remarks.add(kind, *contents.names(new))


# ---- images ----------------------------------------------------------------------------------------------------------


def _headers(parts: Mapping[SplitName, AnnotatedImages], within: Roots) -> dict[SplitName, tuple[ImageHeader, ...]]:
    """Return the header of each image. Raises InvalidInput with the faults of all splits."""
    faults, causes = [*_repeated(parts)], []
    headers: dict[SplitName, tuple[ImageHeader, ...]] = {}
    for split, part in parts.items():
        try:
            headers[split] = _headers_of(part, within)
        except InvalidInput as error:
            faults += error.faults
            causes.append(error.__cause__)  # a broken file system is no mistake of the user
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED]) from next((cause for cause in causes if cause), None)
    return headers


def _repeated(parts: Mapping[SplitName, AnnotatedImages]) -> Iterator[Fault]:
    """Yield a fault for each image that is in a split twice, or in two splits, used for training and evaluation."""
    owner: dict[Path, AnnotatedImages] = {}
    for part in parts.values():
        own: set[Path] = set()
        for name, path in zip(part.names, part.paths, strict=True):
            if (other := owner.setdefault(path, part)) is not part:
                yield Fault(part.pointer, f"{name} is also among the images of {other.pointer.strip('/')}")
            elif path in own:
                yield Fault(part.pointer, f"{name} is listed twice")
            own.add(path)


def _headers_of(part: AnnotatedImages, within: Roots) -> tuple[ImageHeader, ...]:
    headers: dict[int, ImageHeader] = {}

    def look(position: int) -> None:
        path = part.paths[position]
        if not path.is_file():
            raise InvalidInput.at("/path", f"there is no image {printable(path)}")
        header = headers[position] = header_of(path, within)
        height, width = part.stated[position].tolist()
        if height and (height, width) not in _possible_sizes(header):
            stated = f"but the annotations say {width}x{height}"
            message = f"{printable(path)} has {header.width}x{header.height} px upright, {stated}"
            raise InvalidInput.at("/path", message)

    for_all(look, range(len(part.paths)))
    return tuple(headers[position] for position in range(len(part.paths)))


def _possible_sizes(header: ImageHeader) -> tuple[tuple[int, int], ...]:
    """Return height and width of the upright image, and of the image as it is stored if they differ."""
    upright = header.height, header.width
    return (upright, upright[::-1]) if header.orientation in _SIDEWAYS else (upright,)


def _measured(part: AnnotatedImages, headers: Sequence[ImageHeader], remarks: Remarks) -> _Placed:
    sizes = sizes_of(headers)
    unknown = np.flatnonzero(part.stated[:, 0] == 0)
    if len(unknown) and not part.objects.shares:
        remarks.add(_NO_SIZE, *(part.names[place] for place in unknown))
    objects, copies = part.objects.without_copies()
    remarks.add(_COPIES, *(part.names[place] for place in copies))
    as_stored = np.flatnonzero((part.stated[:, 0] > 0) & (part.stated != sizes).any(1))
    for place in as_stored.tolist():
        objects = _turned(objects, place, headers[place], part.names[place], remarks)
    kept, fates = placed(objects, sizes)
    return _Placed(part, sizes, kept, fates)


def _turned(objects: StatedObjects, place: int, header: ImageHeader, name: str, remarks: Remarks) -> StatedObjects:
    """Turn the boxes of an image whose stated size is that before its EXIF turn, unless they only fit after it."""
    rows = objects.image == place
    boxes = objects.corners[rows]  # (m, 4)
    width, height = header.height, header.width  # as stored
    fits_stored = (boxes <= np.array([width, height, width, height]) + _FAR).all()
    fits_upright = (boxes <= np.array([height, width, height, width]) + _FAR).all()
    if fits_upright and not fits_stored:
        remarks.add(_WRONG_TURN, name)
        return objects
    remarks.add(_TURNED_WITH, name)
    scale = np.array([width, height, width, height], np.float64) if objects.shares else np.ones(4)
    turned = _upright(boxes * scale, header.orientation, width, height)
    corners = objects.corners.copy()
    corners[rows] = turned / (scale[[1, 0, 3, 2]] if objects.shares else 1.0)
    return replace(objects, corners=corners)


def _upright(boxes: NDArray[np.float64], orientation: int, width: int, height: int) -> NDArray[np.float64]:
    """Return boxes (m, 4) of an image of this stored size as they lie after its turn by a sideways orientation."""
    x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]  # (m, 2) each
    across = y if orientation in (5, 8) else height - y  # the new x
    down = x if orientation in (5, 6) else width - x  # the new y
    return np.stack([across.min(1), down.min(1), across.max(1), down.max(1)], 1)


# ---- classes ---------------------------------------------------------------------------------------------------------


def _classes(measured: Mapping[SplitName, _Placed], least: int, remarks: Remarks) -> tuple[str, ...]:
    """Return the classes of the images to train on that have objects. Raises InvalidInput that names the others."""
    train = measured["train"]
    learned = train.images_of_classes
    names = tuple(name for name, count in learned.items() if count)
    few = [f"{name!r} is in {count}" for name, count in learned.items() if 0 < count < least]
    faults = []
    if few:
        message = f"each class needs boxes in {least} image(s) or more (min_images): {', '.join(few[:10])}"
        faults.append(Fault(train.part.pointer, message))
    if not names:
        faults.append(Fault(train.part.pointer, f"no class has a box: {_declared(train.part)}"))
    elsewhere: Counter[str] = Counter()
    for split, images in measured.items():
        if split != "train":
            unknown = {name: count for name, count in images.images_of_classes.items() if count and name not in names}
            elsewhere.update(unknown)
            faults += _unlearnable(images.part, split, unknown)
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])
    everywhere = dict.fromkeys(name for images in measured.values() for name in images.part.classes)
    remarks.add(_LEFT_OUT, *(name for name in everywhere if name not in names))
    return names


def _declared(part: AnnotatedImages) -> str:
    if not part.classes:
        return "the annotations name none"
    return f"the annotations name {listed(part.classes)}, and have {len(part.objects.image)} box(es)"


def _unlearnable(part: AnnotatedImages, split: SplitName, unknown: Mapping[str, int]) -> Iterator[Fault]:
    for name, count in unknown.items():
        where = f"class {name!r} is in {count} image(s) of the {split} split"
        yield Fault(part.pointer, f"{where}, but in none to train on: move images, or remove its boxes")


def _scenes(images: _Placed, classes: tuple[str, ...], options: BoxFilesOptions) -> tuple[Scenes, Mapping[str, int]]:
    label = {name: place for place, name in enumerate(classes)}
    labels: Labels = np.array([label.get(name, -1) for name in images.part.classes], np.int64)
    truths = grouped(images.objects.relabelled(labels), len(images.sizes))
    files = PictureFiles(images.part.paths, options.size, options.within)
    fits = bytes_of(images.sizes, options.size) <= options.memory_bytes
    pictures = files.decoded() if fits else files
    scenes = Scenes(pictures, images.sizes, truths, images.part.names, SplitFiles(files.paths, files.within))
    return scenes, counts_of(truths, images.fates)

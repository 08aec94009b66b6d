"""Annotations in COCO's format (cocodataset.org, "Data format"), as tools write it.

What a file leaves out is taken from what it has: a box from the segmentation, an area from the segmentation or the
box, a file's name from an address. Each such step is a remark. What contradicts itself is a fault with its place.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.detection.annotated import FAULTS_LISTED
from workers.data.detection.dataset import Truth
from workers.data.detection.imagenames import leads_out
from workers.data.detection.objects import Corners, StatedObjects, counts_of, grouped, placed
from workers.data.detection.regions import Region, region_of
from workers.data.detection.remarks import RemarkKind, Remarks
from workers.data.imagefiles import Roots, printable

_LONGEST_NAME = 256
_LARGEST_SIDE = 2**31
_FEW = 5
"""Number of boxes from which on it is judged whether they are corners instead of sizes."""

_FROM_REGION = RemarkKind(
    "annotation has no usable box; it is that of its segmentation",
    "annotations have no usable box; it is that of their segmentations",
)
_NO_ID = RemarkKind("annotation has no id", "annotations have no id")
_NO_AREA = RemarkKind(
    "annotation states no area; it is that of its segmentation or box",
    "annotations state no area; it is that of their segmentations or boxes",
)
_NO_CROWD = RemarkKind(
    "annotation has `iscrowd: null` and is an object", "annotations have `iscrowd: null` and are objects"
)
_AS_TEXT = RemarkKind("value is a number in another form", "values are numbers in other forms")
_IGNORED = RemarkKind("annotation has `ignore`, which is not read", "annotations have `ignore`, which is not read")
_BY_ADDRESS = RemarkKind("image is named by its address only", "images are named by their addresses only")
_SPARE = RemarkKind(
    "repetition of a category without a box is left out", "repetitions of categories without a box are left out"
)
_ADDRESSES = ("coco_url", "flickr_url", "url")

_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,17}")

Identity: TypeAlias = int | str
_Rows: TypeAlias = list[tuple[str, Mapping[str, Any]]]
"""(pointer, entry) of each entry of a list."""
_Annotation: TypeAlias = tuple[int, int, Corners, bool, float]
"""Image, label, corners, crowd, and area in px² (0: not stated)."""


@dataclass(frozen=True, slots=True)
class Instances:
    """The annotations of n images in a file."""

    classes: tuple[str, ...]
    """Names in the order of the ids of their categories."""
    files: tuple[str, ...]
    stated: NDArray[np.int64]
    """(n, 2): height and width, in px; 0 if they are not stated."""
    objects: StatedObjects

    def truths(self) -> tuple[tuple[Truth, ...], Counter[str]]:
        """Return the truth of each image, and the counts, if all sizes are stated."""
        kept, fates = placed(self.objects, self.stated)
        truths = grouped(kept, len(self.files))
        return truths, counts_of(truths, fates)


def read(path: Path, pointer: str, remarks: Remarks, *, within: Roots = None) -> Instances:
    """Read the annotations of a file; `pointer`: the option that names it. Raises InvalidInput. See `parse`."""
    try:
        with open_confined(path, within) as file:
            document = json.load(file)
    except UnsafeFile as error:
        raise InvalidInput.at(pointer, f"{printable(path)} is not read: {error.strerror}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput.at(pointer, f"{path} cannot be read as a json file: {printable(error)}") from error
    try:
        return parse(document, remarks, path.name)
    except InvalidInput as error:
        raise InvalidInput(Fault(pointer, f"{path}: {fault}") for fault in error.faults) from None


def parse(document: object, remarks: Remarks | None = None, file: str = "") -> Instances:
    """Check and convert annotations; remarks name places in `file`. Raises InvalidInput, pointers into the document."""
    if not isinstance(document, dict):
        message = "must be an object with `images`, `annotations` and `categories`"
        raise InvalidInput.at("", f"{message}, as COCO's format for detection has them")
    return _Parser(document, remarks or Remarks(), file).instances()


class _Parser:
    """Converts a document, and collects its faults."""

    def __init__(self, document: Mapping[str, Any], remarks: Remarks, file: str) -> None:
        self._document, self._remarks, self._file = document, remarks, file
        self._faults: list[Fault] = []

    def instances(self) -> Instances:
        rows = {key: self._rows(key) for key in ("categories", "images", "annotations")}
        self._stop_at_faults()
        used = set(map(_identity, _distinct(rows["annotations"], "category_id")))
        categories = self._categories(rows["categories"], used)
        names, stated, place = self._images(rows["images"])
        self._check_annotation_ids(rows["annotations"])
        order = {identity: label for label, identity in enumerate(categories)}
        parsed = [
            _plain_annotation(row, place, order) or self._annotation(pointer, row, place, order)
            for pointer, row in rows["annotations"]
        ]
        self._stop_at_faults()
        sizes = np.array(stated, np.int64).reshape(-1, 2)
        columns = zip(*(row for row in parsed if row is not None), strict=True)
        objects = StatedObjects.of(*(tuple(columns) or ((), (), (), (), ())))
        self._check_boxes_are_no_corners(objects, sizes)
        return Instances(tuple(categories.values()), tuple(names), sizes, objects)

    def _rows(self, key: str) -> _Rows:
        """Return (pointer, entry) of each entry of a list of the document."""
        if key not in self._document:
            self._fault(f"/{key}", "is missing; COCO's format for detection has `images`, `annotations`, `categories`")
            return []
        entries = self._document[key]
        if not isinstance(entries, list) or (not entries and key != "annotations"):
            self._fault(f"/{key}", "must be a list" if key == "annotations" else "must be a list with at least 1 entry")
            return []
        for position in [position for position, entry in enumerate(entries) if type(entry) is not dict]:
            self._fault(f"/{key}/{position}", "must be an object")
        return [(f"/{key}/{position}", entry) for position, entry in enumerate(entries)]

    # ---- categories ----------------------------------------------------------------------------------------------

    def _categories(
        self, rows: Iterable[tuple[str, Mapping[str, Any]]], used: set[Identity | None]
    ) -> dict[Identity, str]:
        """Return the names by ids, in the order of the ids; repetitions of a name without a box are left out."""
        rows = list(rows)
        self._check_repeated((f"{pointer}/id", self._id(f"{pointer}/id", row)) for pointer, row in rows)
        pairs = [
            (_identity(row.get("id")), self._category_name(f"{pointer}/name", row.get("name"))) for pointer, row in rows
        ]
        boxed = {name for identity, name in pairs if identity in used}
        kept = []
        for (pointer, _), (identity, name) in zip(rows, pairs, strict=True):
            if name in boxed and identity not in used:
                self._remark(_SPARE, f"{name} ({pointer})")
            elif identity is not None:
                kept.append((pointer, identity, name))
        self._check_repeated((f"{pointer}/name", name) for pointer, _, name in kept)
        return {identity: name for _, identity, name in sorted(kept, key=lambda one: _order(one[1]))}

    def _category_name(self, pointer: str, name: object) -> str:
        if type(name) is int:
            self._remark(_AS_TEXT, pointer)
            return str(name)
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            self._fault(pointer, f"must be printable text of 1 to {_LONGEST_NAME} characters")
            return ""
        return name

    # ---- images --------------------------------------------------------------------------------------------------

    def _images(
        self, rows: list[tuple[str, Mapping[str, Any]]]
    ) -> tuple[list[str], list[tuple[int, int]], dict[Identity, int]]:
        """Return names, (height, width), and positions by ids."""
        ids = [self._id(f"{pointer}/id", row) for pointer, row in rows]
        self._check_repeated((f"{pointer}/id", identity) for (pointer, _), identity in zip(rows, ids, strict=True))
        names = [self._file_name(pointer, row) for pointer, row in rows]
        self._check_repeated(
            (f"{pointer}/file_name", str(PurePosixPath(name)))
            for (pointer, _), name in zip(rows, names, strict=True)
            if name
        )
        stated = [self._size(pointer, row) for pointer, row in rows]
        return names, stated, {identity: place for place, identity in enumerate(ids) if identity is not None}

    def _file_name(self, pointer: str, row: Mapping[str, Any]) -> str:
        name = row.get("file_name")
        if name in (None, ""):
            name = next((row[key] for key in _ADDRESSES if isinstance(row.get(key), str) and row[key]), None)
            if name is None:
                self._fault(
                    f"{pointer}/file_name", "is missing; it is the path of the image in the folder of the images"
                )
                return ""
            name = PurePosixPath(unquote(urlsplit(name).path)).name
            self._remark(_BY_ADDRESS, name)
        if not isinstance(name, str) or len(name) > 4096 or leads_out(name):
            self._fault(f"{pointer}/file_name", "must be a path inside the folder of the images")
            return ""
        return name

    def _size(self, pointer: str, row: Mapping[str, Any]) -> tuple[int, int]:
        """Return (height, width), or (0, 0) if one of them is missing or not positive."""
        sides = tuple(self._side(f"{pointer}/{key}", row.get(key)) for key in ("height", "width"))
        return (sides[0], sides[1]) if min(sides) > 0 else (0, 0)

    def _side(self, pointer: str, value: object) -> int:
        number = 0.0 if value is None or value == "" else self._number(pointer, value)
        if number is None or number <= 0 or not math.isfinite(number):
            return 0
        if number != int(number) or number > _LARGEST_SIDE:
            self._fault(pointer, f"must be a whole number of px, not {value!r}")
            return 0
        return int(number)

    # ---- annotations ---------------------------------------------------------------------------------------------

    def _check_annotation_ids(self, rows: _Rows) -> None:
        """Add a fault for each id that different annotations share."""
        ids = _distinct(rows, "id")
        if len(ids) == len(rows) and None not in ids:
            return
        first: dict[Hashable, tuple[str, Mapping[str, Any]]] = {}
        for pointer, row in rows:
            identity = row.get("id")
            if identity is None:
                self._remark(_NO_ID, pointer)
            elif not isinstance(identity, int | str | float):
                self._fault(f"{pointer}/id", "must be a whole number or text")
            elif (other := first.setdefault(identity, (pointer, row)))[1] is not row and other[1] != row:
                message = f"{identity!r} is already at {other[0]}/id; each must occur only once"
                self._fault(f"{pointer}/id", message)

    def _annotation(
        self, pointer: str, row: Mapping[str, Any], images: Mapping[Identity, int], labels: Mapping[Identity, int]
    ) -> _Annotation | None:
        """Return image, label, corners, crowd and area (0: not stated); None with a fault."""
        image, category = _identity(row.get("image_id")), _identity(row.get("category_id"))
        place = None if image is None else images.get(image)
        label = None if category is None else labels.get(category)
        if place is None:
            self._fault(f"{pointer}/image_id", f"there is no image {row.get('image_id')!r} under /images")
        if label is None:
            self._fault(f"{pointer}/category_id", f"there is no category {row.get('category_id')!r} under /categories")
        region = self._region(pointer, row)
        corners = self._corners(pointer, row.get("bbox"), region)
        crowd = self._crowd(f"{pointer}/iscrowd", pointer, row.get("iscrowd", 0))
        area = self._area(pointer, row.get("area"), region)
        if row.get("ignore"):
            self._remark(_IGNORED, pointer)
        if place is None or label is None or corners is None:
            return None
        return place, label, corners, crowd, area

    def _region(self, pointer: str, row: Mapping[str, Any]) -> Region | None:
        """Return the region of the segmentation if box or area have to be taken from it."""
        if _has_extent(row.get("bbox")) and row.get("area") is not None:
            return None
        try:
            return region_of(row.get("segmentation"))
        except ValueError as error:
            if not _has_extent(row.get("bbox")):
                self._fault(f"{pointer}/segmentation", str(error))
            return None

    def _corners(self, pointer: str, box: object, region: Region | None) -> Corners | None:
        """Return the corners of a box (left, top, width, height), or of the region if the box is unusable."""
        if region is not None and not _has_extent(box):
            self._remark(_FROM_REGION, pointer)
            return region.corners
        if box is None or box == []:
            self._fault(f"{pointer}/bbox", "is missing, and so is a segmentation to take it from")
            return None
        if not isinstance(box, list) or len(box) != 4:
            self._fault(f"{pointer}/bbox", "must be four numbers: left, top, width, height in px")
            return None
        sides = [self._number(f"{pointer}/bbox/{place}", value) for place, value in enumerate(box)]
        finite = [side for side in sides if side is not None and math.isfinite(side)]
        for place, side in enumerate(sides):
            if side is not None and not math.isfinite(side):
                self._fault(f"{pointer}/bbox/{place}", "must be a finite number")
        if len(finite) < 4:
            return None
        left, top, width, height = finite
        return left, top, left + width, top + height

    def _crowd(self, pointer: str, annotation: str, value: object) -> bool:
        if value is None:
            self._remark(_NO_CROWD, annotation)
            return False
        if value in (0, 1, "0", "1", "false", "true", "False", "True"):  # true and false are 1 and 0
            return str(value).lower() in ("1", "1.0", "true")
        self._fault(pointer, f"must be 0 or 1, not {value!r}")
        return False

    def _area(self, pointer: str, value: object, region: Region | None) -> float:
        """Return the stated area in px², that of the region, or 0."""
        if isinstance(value, list) and len(value) == 1:
            self._remark(_AS_TEXT, f"{pointer}/area")
            value = value[0]
        number = None if value is None or value == "" else self._number(f"{pointer}/area", value)
        if number is not None and math.isfinite(number) and number > 0:
            return number
        self._remark(_NO_AREA, pointer)
        return 0.0 if region is None else region.area

    # ---- values --------------------------------------------------------------------------------------------------

    def _number(self, pointer: str, value: object) -> float | None:
        """Return a number, also from text; None with a fault. It may be infinite or NaN."""
        try:
            if isinstance(value, str):
                number = float(value)
                self._remark(_AS_TEXT, pointer)
                return number
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
        except (ValueError, OverflowError):
            pass
        self._fault(pointer, f"must be a number, not {printable(repr(value)[:60])}")
        return None

    def _id(self, pointer: str, row: Mapping[str, Any]) -> Identity | None:
        identity = _identity(row.get("id"))
        if identity is None:
            self._fault(pointer, "is missing" if row.get("id") is None else "must be a whole number or text")
        return identity

    def _check_repeated(self, values: Iterable[tuple[str, Identity | None]]) -> None:
        first: dict[Identity, str] = {}
        for pointer, value in values:
            if value is not None and first.setdefault(value, pointer) != pointer:
                self._fault(pointer, f"{value!r} is already at {first[value]}; each must occur only once")

    def _check_boxes_are_no_corners(self, objects: StatedObjects, stated: NDArray[np.int64]) -> None:
        """Raise InvalidInput if the boxes only make sense as x0, y0, x1, y1, which is not COCO's form."""
        limits = stated[objects.image][:, [1, 0]]  # (a, 2): width, height
        known = limits.min(1, initial=_LARGEST_SIDE) > 0  # (a,)
        first, last, limits = objects.corners[known, :2], objects.corners[known, 2:], limits[known]
        beyond = (last > limits + 1).any(1)  # (a',)
        second = last - first  # (a', 2): the third and fourth number
        as_corners = ((second > first) & (second <= limits + 1)).all()
        if len(first) >= _FEW and as_corners and beyond.mean() >= 0.5:
            message = (
                f"{int(beyond.sum())} of {len(first)} boxes lead out of their images, and none would as x0, y0, x1, y1"
            )
            raise InvalidInput.at("/annotations", f"{message}: write each `bbox` as left, top, width, height")

    def _remark(self, kind: RemarkKind, place: str) -> None:
        self._remarks.add(kind, f"{self._file} {place}" if self._file else place)

    def _fault(self, pointer: str, message: str) -> None:
        self._faults.append(Fault(pointer, message))

    def _stop_at_faults(self) -> None:
        if self._faults:
            raise InvalidInput(self._faults[:FAULTS_LISTED])


def _plain_annotation(
    row: Mapping[str, Any], images: Mapping[Identity, int], labels: Mapping[Identity, int]
) -> _Annotation | None:
    """Return an annotation that is written as COCO writes it; None for any other."""
    try:
        (left, top, width, height), area, crowd = row["bbox"], row["area"], row["iscrowd"]
        image, category = row["image_id"], row["category_id"]
        usual = area > 0 < width and height > 0 and left + top + width + height + area < math.inf
        if not usual or left + top == -math.inf or type(crowd) is not int or crowd not in (0, 1) or "ignore" in row:
            return None
        if type(image) is not int or type(category) is not int:
            return None
        return images[image], labels[category], (left, top, left + width, top + height), crowd == 1, area
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _distinct(rows: _Rows, key: str) -> set[object]:
    """Return the different values of a key; all that can be compared if some cannot, or if it is missing."""
    try:
        return {row[key] for _, row in rows}
    except (KeyError, TypeError):
        return {value for _, row in rows if isinstance(value := row.get(key), Hashable)}


def _identity(value: object) -> Identity | None:
    """Return an id, so that 7, 7.0 and "7" are the same; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and value:
        return (
            int(value)
            if value.isascii() and value.isdigit() and len(value) < 19 and str(int(value)) == value
            else value
        )
    return None


def _order(identity: Identity) -> tuple[bool, Identity]:
    """Return the key by which ids are sorted: numbers, then texts."""
    return isinstance(identity, str), identity


def _has_extent(box: object) -> bool:
    """Return whether a box is four finite numbers, of which width and height are positive."""
    if not isinstance(box, list) or len(box) != 4:
        return False
    try:
        left, top, width, height = map(float, box)
    except (TypeError, ValueError, OverflowError):
        return False
    return math.isfinite(left + top) and 0 < width < math.inf and 0 < height < math.inf


def document_of(
    classes: Iterable[str], sizes: NDArray[np.int64], boxes: Iterable[tuple[int, int, tuple[float, ...]]]
) -> dict[str, Any]:
    """Return a document in COCO's format. `boxes`: (position of the image, label, (left, top, width, height))."""
    rows = [(image + 1, label, box, box[2] * box[3]) for image, label, box in boxes]
    return {
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)],
        "images": [
            {"id": number, "file_name": f"{number:06d}.png", "height": int(height), "width": int(width)}
            for number, (height, width) in enumerate(sizes, 1)
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": label + 1, "bbox": list(box), "area": area, "iscrowd": 0}
            for number, (image, label, box, area) in enumerate(rows, 1)
        ],
    }

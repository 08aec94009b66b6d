"""The columns of a table of boxes, found by the names that tools give them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from workers.data.detection.objects import Corners
from workers.data.tables import TableRow

_FILES: Final = (
    "filename",
    "file",
    "filepath",
    "imagename",
    "imagefile",
    "imagepath",
    "imageid",
    "image",
    "path",
    "img",
)
_LABELS: Final = ("label", "class", "classname", "category", "categoryname", "labelname", "name")
_SPLITS: Final = ("split", "set", "subset", "usage", "partition")
_CROWDS: Final = ("isgroupof", "iscrowd", "difficult")
_YES_OR_NO: Final = MappingProxyType({"": False, "0": False, "false": False, "-1": False, "1": True, "true": True})


def _corners(first: float, second: float, third: float, fourth: float) -> Corners:
    return first, second, third, fourth


def _from_sides(left: float, top: float, width: float, height: float) -> Corners:
    return left, top, left + width, top + height


def _from_centre(x: float, y: float, width: float, height: float) -> Corners:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


_SCHEMES: Final = (
    (("xmin", "ymin", "xmax", "ymax"), _corners),
    (("x1", "y1", "x2", "y2"), _corners),
    (("x0", "y0", "x1", "y1"), _corners),
    (("left", "top", "right", "bottom"), _corners),
    (("xtl", "ytl", "xbr", "ybr"), _corners),
    (("minx", "miny", "maxx", "maxy"), _corners),
    (("xcenter", "ycenter", "width", "height"), _from_centre),
    (("cx", "cy", "w", "h"), _from_centre),
    (("x", "y", "width", "height"), _from_sides),
    (("x", "y", "w", "h"), _from_sides),
    (("left", "top", "width", "height"), _from_sides),
    (("xmin", "ymin", "width", "height"), _from_sides),
    (("bboxx", "bboxy", "bboxwidth", "bboxheight"), _from_sides),
    (("bboxx", "bboxy", "bboxw", "bboxh"), _from_sides),
)
"""Names of four columns, and how their values become the corners of a box; the first complete scheme counts."""


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A row of a table: an image, and an object if there is one."""

    line: int
    image: str
    label: str
    corners: Corners | None
    """None: the image has no object."""
    size: tuple[int, int]
    """Height and width of the image; 0 if they are not stated."""
    split: str
    crowd: bool


@dataclass(frozen=True, slots=True)
class BoxColumns:
    """Positions of the columns; None for those that a table lacks."""

    image: int
    label: int
    sides: tuple[int, int, int, int]
    convert: Callable[[float, float, float, float], Corners]
    size: tuple[int, int] | None = None
    """Height and width of the image."""
    split: int | None = None
    crowd: int | None = None

    @classmethod
    def of(cls, header: Sequence[str]) -> tuple[BoxColumns, tuple[str, ...]]:
        """Return the columns of a header, and the names of the others. Raises ValueError if one is missing."""
        places = _places(header)
        scheme = next(((names, convert) for names, convert in _SCHEMES if all(name in places for name in names)), None)
        image, label = _first(places, _FILES), _first(places, _LABELS)
        if image is None:
            raise ValueError("no column names the images: call it `filename`")
        if label is None:
            raise ValueError("no column names the classes: call it `class`")
        if scheme is None:
            raise ValueError("no four columns are a box: call them `xmin`, `ymin`, `xmax`, `ymax`")
        names, convert = scheme
        sides = places[names[0]], places[names[1]], places[names[2]], places[names[3]]
        size = None
        if "width" in places and "height" in places and places["width"] not in sides:
            size = places["height"], places["width"]
        columns = cls(image, label, sides, convert, size, _first(places, _SPLITS), _first(places, _CROWDS))
        used = {image, label, *sides, *(size or ()), columns.split, columns.crowd}
        return columns, tuple(name for place, name in enumerate(header) if place not in used)

    def row(self, row: TableRow) -> BoxRow:
        """Return the content of a row. Raises ValueError if it is no box."""
        cells = row.cells
        if not cells[self.image]:
            raise ValueError("it names no image")
        written = [cells[place] for place in self.sides]
        corners = None
        if any(written):
            first, second, third, fourth = map(_number, written)
            corners = self.convert(first, second, third, fourth)
            if not 0 < len(cells[self.label]) <= 256 or not cells[self.label].isprintable():
                raise ValueError("its class is not printable text of 1 to 256 characters")
        size = (0, 0) if self.size is None else (_side(cells[self.size[0]]), _side(cells[self.size[1]]))
        crowd = "" if self.crowd is None else cells[self.crowd].casefold()
        if crowd not in _YES_OR_NO:
            raise ValueError(f"{crowd!r} is neither 0 nor 1")
        split = "" if self.split is None else cells[self.split]
        size = size if min(size) > 0 else (0, 0)
        return BoxRow(row.line, cells[self.image], cells[self.label], corners, size, split, _YES_OR_NO[crowd])


NO_HEADER: Final = BoxColumns(0, 5, (1, 2, 3, 4), _corners)
"""The columns of a table without a header: path, x1, y1, x2, y2, class."""


def is_without_header(first: Sequence[str]) -> bool:
    """Return whether the first row of a table is already an image with a box, or without."""
    sides = first[1:5]
    return len(first) == 6 and (not any(first[1:]) or all(map(_is_number, sides)))


def _places(header: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        key = re.sub(r"[^a-z0-9]", "", name.casefold())
        if key and places.setdefault(key, place) != place:
            raise ValueError(f"columns {places[key] + 1} and {place + 1} have the same name, {name}")
    return places


def _first(places: Mapping[str, int], names: Sequence[str]) -> int | None:
    return next((places[name] for name in names if name in places), None)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str) -> float:
    if not _is_number(text):
        raise ValueError(f"{text[:60]!r} is no finite number; an image without objects has no coordinates at all")
    return float(text)


def _side(text: str) -> int:
    number = _number(text) if text else 0.0
    if number != int(number):
        raise ValueError(f"{text[:60]!r} is no whole number of px")
    return int(number)

"""A file of annotations of Pascal VOC (host.robots.ox.ac.uk/pascal/VOC), as the devkit, labelImg and Roboflow write it.

The parser resolves no entities and reads no other file: a document that declares an entity is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, content_of, open_confined
from workers.data.detection.objects import Corners
from workers.data.imagefiles import Roots, printable

_LARGEST_BYTES, _DEEPEST = 2**24, 50
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class VocObject:
    """An object: its class, the coordinates xmin, ymin, xmax, ymax as written, and whether it need not be found."""

    name: str
    corners: Corners
    difficult: bool
    from_polygon: bool


@dataclass(frozen=True, slots=True)
class VocImage:
    """The annotations of an image; height and width are 0 if they are not stated."""

    file_name: str
    height: int
    width: int
    objects: tuple[VocObject, ...]


def read_xml(path: Path, within: Roots) -> VocImage:
    """Read a file. Raises InvalidInput that names it."""
    try:
        with open_confined(path, within) as file:
            content = content_of(file, _LARGEST_BYTES)
        if content is None:
            raise ValueError(f"it is larger than {_LARGEST_BYTES:,} bytes")
        return _image(_tree(content))
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(path)} is not read: {error.strerror}") from None
    except (OSError, ValueError, LookupError, expat.ExpatError) as error:
        raise InvalidInput.at(
            "/path", f"{printable(path)} is no annotation of Pascal VOC: {printable(error)}"
        ) from error


class _Builder:
    """Builds the tree of a document, and refuses what makes small documents large or deep."""

    def __init__(self) -> None:
        self._tree, self._depth = TreeBuilder(), 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"its elements are more than {_DEEPEST} deep")
        self._tree.start(tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._tree.end(tag)

    def data(self, text: str) -> None:
        self._tree.data(text)

    def refuse(self, *_: object) -> NoReturn:
        raise ValueError("it declares entities, which are not resolved")

    def close(self) -> Element:
        return self._tree.close()


def _tree(content: bytes) -> Element:
    builder, parser = _Builder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = parser.UnparsedEntityDeclHandler = builder.refuse
    parser.ExternalEntityRefHandler = builder.refuse
    parser.Parse(content, True)
    return builder.close()


def _image(root: Element) -> VocImage:
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag}>, not <annotation>")
    sides = [_side(root.findtext(f"size/{name}"), name) for name in ("height", "width")]
    height, width = sides if min(sides) > 0 else (0, 0)
    name = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    return VocImage(
        name, height, width, tuple(_object(number, one) for number, one in enumerate(root.findall("object"), 1))
    )


def _side(text: str | None, name: str) -> int:
    number = _number(text, name) if text and text.strip() else 0.0
    if number != int(number):
        raise ValueError(f"its {name} {number:g} is no whole number")
    return max(0, int(number))


def _object(number: int, element: Element) -> VocObject:
    name = (element.findtext("name") or "").strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"the name of object {number} is not printable text of 1 to {_LONGEST_NAME} characters")
    difficult = (element.findtext("difficult") or "0").strip().casefold() or "0"
    if difficult not in ("0", "1", "false", "true", "unspecified"):
        raise ValueError(f"`difficult` of object {number} is {difficult!r}, not 0 or 1")
    box = element.find("bndbox")
    if box is not None:
        values = [_number(box.findtext(key), f"{key} of object {number}") for key in ("xmin", "ymin", "xmax", "ymax")]
        corners = values[0], values[1], values[2], values[3]
    else:
        corners = _around(element.find("polygon"), number)
    return VocObject(name, corners, difficult in ("1", "true"), box is None)


def _around(polygon: Element | None, number: int) -> Corners:
    """Return the box of a polygon, whose points are written as x1, y1, x2, y2, ... or in elements of their own."""
    points: dict[str, list[float]] = {"x": [], "y": []}
    for element in () if polygon is None else polygon.iter():
        axis = element.tag[:1]
        if axis in points and (element.tag[1:].isdigit() or element.tag == axis):
            points[axis].append(_number(element.text, f"{element.tag} of object {number}"))
    if min(map(len, points.values())) < 3:
        raise ValueError(f"object {number} has neither a <bndbox> nor a <polygon> to take it from")
    return min(points["x"]), min(points["y"]), max(points["x"]), max(points["y"])


def _number(text: str | None, what: str) -> float:
    try:
        number = float((text or "").strip())
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{what} is {printable((text or '').strip()[:60])!r}, not a finite number")
    return number

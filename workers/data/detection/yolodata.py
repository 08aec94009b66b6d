"""The description of a YOLO dataset: `data.yaml` with the names of the classes and the places of the splits.

Scalars are read as they are written, so a class called `yes` or `1` keeps its name. Nothing is executed, and links
between parts of the document (aliases) cannot make it larger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, content_of, open_confined
from workers.data.imagefiles import Roots, printable
from workers.data.splits import SplitName, split_of

_LARGEST_BYTES, _DEEPEST = 1_000_000, 10
_LONGEST_NAME, _MOST_NUMBERED = 256, 10_000
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CLASS_FILES: Final = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")


@dataclass(frozen=True, slots=True)
class Keypoints:
    """The form of the points of a pose."""

    points: int
    values: int
    """Values of a point: x and y (2), or also its visibility (3)."""

    @property
    def columns(self) -> int:
        """Number of columns of a line: class, box and points."""
        return 5 + self.points * self.values


@dataclass(frozen=True, slots=True)
class YoloData:
    """Classes and places as a description states them."""

    file: Path
    classes: tuple[str, ...]
    """Empty if it neither names nor counts them."""
    base: str = ""
    """The folder that the places are relative to, as written."""
    places: Mapping[SplitName, tuple[str, ...]] = field(default_factory=dict)
    """Folders, or files that list images, of each split, as written."""
    keypoints: Keypoints | None = None
    are_numbered: bool = False
    """True if the description counts the classes only, so that their names are made of their numbers."""


def text_of(path: Path, within: Roots) -> str:
    """Return the text of a small file. Raises InvalidInput that names it."""
    try:
        with open_confined(path, within) as file:
            content = content_of(file, _LARGEST_BYTES * 64)
        if content is None:
            raise InvalidInput.at("/path", f"{printable(path)} is larger than {_LARGEST_BYTES * 64:,} bytes")
        return content.decode("utf-8-sig")
    except UnsafeFile as error:
        raise InvalidInput.at("/path", f"{printable(path)} is not read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput.at("/path", f"{printable(path)} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidInput.at("/path", f"{printable(path)} cannot be read: {error.strerror}") from error


def read_data(path: Path, within: Roots) -> YoloData:
    """Read a description in YAML. Raises InvalidInput that names it."""
    text = text_of(path, within)
    try:
        root = _composed(text)
        entries = {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}
        classes = _classes(entries)
        keypoints = _keypoints(entries)
        places = {
            split: _texts(value, key)
            for key, value in entries.items()
            if (split := split_of(key)) is not None and not _is_null(value)
        }
        base = _text(entries["path"], "path") if "path" in entries and not _is_null(entries["path"]) else ""
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InvalidInput.at(
            "/path", f"{printable(path)} is no description of a dataset: {printable(error)}"
        ) from None
    return YoloData(path, classes, base, places, keypoints, are_numbered="names" not in entries and bool(classes))


def class_file(folder: Path, within: Roots) -> YoloData | None:
    """Return the classes of a file with a name per line; None if there is none."""
    for path in (folder / name for name in _CLASS_FILES):
        if path.is_file():
            names = [line.strip() for line in text_of(path, within).splitlines()]
            while names and not names[-1]:
                names.pop()
            try:
                return YoloData(path, checked_classes(names))
            except ValueError as error:
                raise InvalidInput.at("/path", f"{printable(path)}: {error}") from None
    return None


def checked_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of classes. Raises ValueError if they cannot be told apart or printed."""
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"the name of class {number} is not printable text of 1 to {_LONGEST_NAME} characters")
        if first.setdefault(name, number) != number:
            raise ValueError(f"classes {first[name]} and {number} have the same name, {name}")
    if not names:
        raise ValueError("it names no class")
    return tuple(names)


def _composed(text: str) -> yaml.MappingNode:
    if len(text) > _LARGEST_BYTES:
        raise ValueError(f"it is larger than {_LARGEST_BYTES:,} characters")
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):  # events need no recursion
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"it is more than {_DEEPEST} levels deep")
    root = yaml.compose(text, Loader=_LOADER)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("it must be a mapping with `names`")
    return root


def _classes(entries: Mapping[str, yaml.Node]) -> tuple[str, ...]:
    """Return the names of the classes, made of their numbers if there is only `nc`; empty without either."""
    stated = _whole(entries["nc"], "nc") if "nc" in entries else None
    if "names" not in entries:
        if stated is not None and not 1 <= stated <= _MOST_NUMBERED:
            raise ValueError(f"`nc` is {stated}; without `names`, it must be 1 to {_MOST_NUMBERED:,}")
        return tuple(f"class_{number}" for number in range(stated or 0))
    node = entries["names"]
    if isinstance(node, yaml.MappingNode):
        pairs = {_whole(key, "names"): _text(value, "names") for key, value in node.value}
        if sorted(pairs) != list(range(len(node.value))):
            raise ValueError("the keys of `names` must be 0, 1, 2, ... without gaps or repetitions")
        names = [pairs[number] for number in range(len(pairs))]
    else:
        names = list(_texts(node, "names"))
    if stated is not None and stated != len(names):
        raise ValueError(f"`nc` is {stated}, but `names` has {len(names)}")
    return checked_classes(names)


def _keypoints(entries: Mapping[str, yaml.Node]) -> Keypoints | None:
    node = entries.get("kpt_shape")
    if node is None or _is_null(node):
        return None
    sides = [_whole(item, "kpt_shape") for item in node.value] if isinstance(node, yaml.SequenceNode) else []
    if len(sides) != 2 or sides[0] < 1 or sides[1] not in (2, 3):
        raise ValueError("`kpt_shape` must be the number of points and 2 or 3 values of each, such as [17, 3]")
    return Keypoints(*sides)


def _whole(node: yaml.Node, key: str) -> int:
    text = _text(node, key)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"`{key}` has {text[:60]!r} in the place of a whole number")
    return int(text)


def _texts(node: yaml.Node, key: str) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(_text(item, key) for item in node.value)
    return (_text(node, key),)


def _text(node: yaml.Node, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(f"`{key}` must be text, or a list of texts")
    text: str = node.value
    return text


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"

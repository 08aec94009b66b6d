"""The description of a YOLO dataset: `data.yaml` with the names of the classes and the places of the splits.

Scalars are read as they are written, so a class called `yes` or `1` keeps its name. Nothing is executed, and links
between parts of the document (aliases) cannot make it larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from searchsvc.errors import InvalidInput
from searchsvc.files import UnsafeFile, open_confined
from workers.data.imagefiles import Roots, printable
from workers.data.splits import SplitName, split_of

_LARGEST_BYTES, _DEEPEST = 1_000_000, 10
_LONGEST_NAME = 256
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CLASS_FILES: Final = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")


@dataclass(frozen=True, slots=True)
class YoloData:
    """Classes and places as a description states them."""

    file: Path
    classes: tuple[str, ...]
    base: str = ""
    """The folder that the places are relative to, as written."""
    places: Mapping[SplitName, tuple[str, ...]] = field(default_factory=dict)
    """Folders, or files that list images, of each split, as written."""
    has_keypoints: bool = False


def text_of(path: Path, within: Roots) -> str:
    """Return the text of a small file. Raises InvalidInput that names it."""
    try:
        with open_confined(path, within) as file:
            content = file.read(_LARGEST_BYTES * 64 + 1)
        if len(content) > _LARGEST_BYTES * 64:
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
    return YoloData(path, classes, base, places, "kpt_shape" in entries)


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
    for number, name in enumerate(names):
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"the name of class {number} is not printable text of 1 to {_LONGEST_NAME} characters")
        if names.index(name) != number:
            raise ValueError(f"classes {names.index(name)} and {number} have the same name, {name}")
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
    stated = int(_text(entries["nc"], "nc")) if "nc" in entries else None
    if "names" not in entries:
        raise ValueError("it has no `names`: list the classes there")
    node = entries["names"]
    if isinstance(node, yaml.MappingNode):
        pairs = {int(_text(key, "names")): _text(value, "names") for key, value in node.value}
        if sorted(pairs) != list(range(len(node.value))):
            raise ValueError("the keys of `names` must be 0, 1, 2, ... without gaps or repetitions")
        names = [pairs[number] for number in range(len(pairs))]
    else:
        names = list(_texts(node, "names"))
    if stated is not None and stated != len(names):
        raise ValueError(f"`nc` is {stated}, but `names` has {len(names)}")
    return checked_classes(names)


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

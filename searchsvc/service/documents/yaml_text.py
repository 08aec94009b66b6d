"""YAML as text: the line at which something in it stands, and the text with one value changed.

A change touches nothing else, so that comments, order and layout stay as their author has them. All functions take text
that `documents.load_document` has read, or would read but for the faults that it found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from searchsvc.errors import Fault
from searchsvc.service.documents.documents import load_document

Path: TypeAlias = Sequence[str | int]
"""Keys of mappings and places in lists, from the outermost in."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACE = re.compile(r"line (\d+), column \d+: ")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*( [A-Za-z0-9._/-]+)*")


def located(text: str, fault: Fault) -> tuple[int, str]:
    """(line, counted from 1; message) of a fault: the line of what it names, or of what lacks it."""
    if found := _PLACE.match(fault.message):
        return int(found[1]), fault.message[found.end() :]
    line, node = 1, yaml.compose(text, Loader=_LOADER)
    for step in _steps(fault.pointer):
        entry = _Entry.find(node, step)
        if entry is None:
            break
        line, node = entry.key.start_mark.line + 1, entry.value
    return line, fault.message


def changed(text: str, path: Path, value: Any) -> str:
    """`text` with `value` at `path`; what is missing on the way there is made. None takes the place away."""
    root = yaml.compose(text, Loader=_LOADER)
    if root is None:
        return text if value is None else text + _line(path[0], _nested(path[1:], value)) + "\n"
    parent, entry, depth = _deepest(root, path)
    if depth < len(path):
        return text if value is None else _with_entry(text, parent, path[depth], _nested(path[depth + 1 :], value))
    assert entry is not None
    return _without(text, parent, entry) if value is None else _replaced(text, entry.value, value)


def flow(value: Any) -> str:
    """A value on one line, as `load_document` reads it back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and load_document(value) == value:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands in a mapping or a list: its value, and its key (of a list: the value again)."""

    key: yaml.Node
    value: yaml.Node

    @classmethod
    def find(cls, node: yaml.Node | None, step: str | int) -> _Entry | None:
        for name, entry in cls.all(node).items():
            if str(name) == str(step):
                return entry
        return None

    @classmethod
    def all(cls, node: yaml.Node | None) -> dict[str | int, _Entry]:
        """In their order; none in what is no collection."""
        if isinstance(node, yaml.MappingNode):
            return {key.value: cls(key, value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return {place: cls(value, value) for place, value in enumerate(node.value)}
        return {}


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _deepest(root: yaml.Node, path: Path) -> tuple[yaml.Node, _Entry | None, int]:
    """(the collection that holds the last step that there is, its entry, how many steps there are)."""
    parent, entry, node = root, None, root
    for depth, step in enumerate(path):
        found = _Entry.find(node, step)
        if found is None:
            return node, entry, depth
        parent, entry, node = node, found, found.value
    return parent, entry, len(path)


def _nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def _is_flow(node: yaml.Node) -> bool:
    """Whether it is a collection written in brackets or braces."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _start(node: yaml.Node) -> int:
    return int(node.start_mark.index)


def _end(node: yaml.Node) -> int:
    """Where its text ends: PyYAML says of a block only where the next thing begins."""
    entries = _Entry.all(node)
    if not entries or _is_flow(node):
        return int(node.end_mark.index)
    return _end(list(entries.values())[-1].value)


def _replaced(text: str, node: yaml.Node, value: Any) -> str:
    start, end = _start(node), _end(node)
    space = " " if start == end and not text[:start].endswith(" ") else ""
    return text[:start] + space + flow(value) + text[end:]


def _with_entry(text: str, parent: yaml.Node, step: str | int, value: Any) -> str:
    """`parent` with one more entry at its end; what is no collection, or one of the other kind, is replaced."""
    kind = yaml.SequenceNode if isinstance(step, int) else yaml.MappingNode
    if not isinstance(parent, kind):
        return _replaced(text, parent, _nested([step], value))
    if _is_flow(parent):
        end = _end(parent) - 1
        comma = ", " if parent.value else ""
        return text[:end].rstrip() + comma + _line(step, value, flow_style=True) + text[end:]
    end = _line_end(text, _end(parent))
    return text[:end] + "\n" + " " * parent.start_mark.column + _line(step, value) + text[end:]


def _line(step: str | int, value: Any, *, flow_style: bool = False) -> str:
    if isinstance(step, int):
        return flow(value) if flow_style else f"- {flow(value)}"
    return f"{flow(step)}: {flow(value)}"


def _without(text: str, parent: yaml.Node, entry: _Entry) -> str:
    others = [one for one in _Entry.all(parent).values() if one.value is not entry.value]
    if _is_flow(parent) or not others:
        kept = ", ".join(text[_start(one.key) : _end(one.value)] for one in others)
        opening, closing = "{}" if isinstance(parent, yaml.MappingNode) else "[]"
        return text[: _start(parent)] + opening + kept + closing + text[_end(parent) :]
    start = text.rfind("\n", 0, _start(entry.key)) + 1
    return text[:start] + text[_line_end(text, _end(entry.value)) + 1 :]


def _line_end(text: str, index: int) -> int:
    """Of the line in which `index` is: comments at its end belong to it."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found

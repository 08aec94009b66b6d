"""YAML as text: the line of a fault, and changes to single values.

A change touches nothing else, so comments, order and layout stay as the author wrote them. All functions take text that
`documents.load_document` has parsed, or could parse apart from the faults that it reported.
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
"""Keys of mappings and indices of lists, the outermost first."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACE = re.compile(r"line (\d+), column \d+: ")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*( [A-Za-z0-9._/-]+)*")


def located(text: str, fault: Fault) -> tuple[int, str]:
    """Return the line (from 1) and the message of a fault: the line of the named node, or of its closest parent."""
    if place := _PLACE.match(fault.message):
        return int(place[1]), fault.message[place.end() :]
    line, node = 1, yaml.compose(text, Loader=_LOADER)
    for step in _steps(fault.pointer):
        entry = _YamlEntry.find(node, step)
        if entry is None:
            break
        line, node = entry.key.start_mark.line + 1, entry.value
    return line, fault.message


def changed(text: str, path: Path, value: Any) -> str:
    """Set the value at `path`, creating missing parents. None removes the entry."""
    root = yaml.compose(text, Loader=_LOADER)
    if root is None:
        return text if value is None else text + _line(path[0], _nested(path[1:], value)) + "\n"
    parent, entry, depth = _deepest(root, path)
    if depth < len(path):
        return text if value is None else _with_entry(text, parent, path[depth], _nested(path[depth + 1 :], value))
    assert entry is not None
    return _without(text, parent, entry) if value is None else _replaced(text, entry.value, value)


def flow(value: Any) -> str:
    """Return a value on a single line, so that `load_document` reads it back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and load_document(value) == value:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _YamlEntry:
    """An entry of a mapping or a list: its value, and its key (for a list, the value again)."""

    key: yaml.Node
    value: yaml.Node

    @classmethod
    def find(cls, node: yaml.Node | None, step: str | int) -> _YamlEntry | None:
        for name, entry in cls.all(node).items():
            if str(name) == str(step):
                return entry
        return None

    @classmethod
    def all(cls, node: yaml.Node | None) -> dict[str | int, _YamlEntry]:
        """Return the entries of a node in order; none if it is not a collection."""
        if isinstance(node, yaml.MappingNode):
            return {key.value: cls(key, value) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode):
            return {place: cls(value, value) for place, value in enumerate(node.value)}
        return {}


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _deepest(root: yaml.Node, path: Path) -> tuple[yaml.Node, _YamlEntry | None, int]:
    """Follow `path` as far as it exists: (the last collection, its entry, the number of steps taken)."""
    parent, entry, node = root, None, root
    for depth, step in enumerate(path):
        child = _YamlEntry.find(node, step)
        if child is None:
            return node, entry, depth
        parent, entry, node = node, child, child.value
    return parent, entry, len(path)


def _nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def _is_flow(node: yaml.Node) -> bool:
    """Return whether the node is a collection written in brackets or braces."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _start(node: yaml.Node) -> int:
    return int(node.start_mark.index)


def _end(node: yaml.Node) -> int:
    """Return the index at which a node's text ends; for a block, PyYAML only reports the start of the next token."""
    entries = _YamlEntry.all(node)
    if not entries or _is_flow(node):
        return int(node.end_mark.index)
    return _end(list(entries.values())[-1].value)


def _replaced(text: str, node: yaml.Node, value: Any) -> str:
    start, end = _start(node), _end(node)
    space = " " if start == end and not text[:start].endswith(" ") else ""
    return text[:start] + space + flow(value) + text[end:]


def _with_entry(text: str, parent: yaml.Node, step: str | int, value: Any) -> str:
    """Append an entry to `parent`; a parent that is not a collection of the right kind is replaced."""
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


def _without(text: str, parent: yaml.Node, entry: _YamlEntry) -> str:
    others = [other for other in _YamlEntry.all(parent).values() if other.value is not entry.value]
    if _is_flow(parent) or not others:
        rest = ", ".join(text[_start(other.key) : _end(other.value)] for other in others)
        opening, closing = "{}" if isinstance(parent, yaml.MappingNode) else "[]"
        return text[: _start(parent)] + opening + rest + closing + text[_end(parent) :]
    start = text.rfind("\n", 0, _start(entry.key)) + 1
    return text[:start] + text[_line_end(text, _end(entry.value)) + 1 :]


def _line_end(text: str, index: int) -> int:
    """Return the end of the line that contains `index`, including trailing comments."""
    end = text.find("\n", index)
    return len(text) if end < 0 else end

"""Documents of users, from text to plain data: safe, limited in size and depth, strict about ambiguities.

YAML follows version 1.2: `5e6` and `1e-3` are numbers, `no`, `on` and `2024-01-01` are text, keys are unique, and tags
are refused. JSON is read by the same rules. Plain data consists of mappings with text keys, lists, text, numbers, true,
false and null.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

import yaml

from searchsvc.errors import Fault, InvalidInput

LARGEST_BYTES = 1_000_000
DEEPEST = 40
MOST_VALUES = 100_000
_LARGEST_WHOLE = 2**63
_MOST_FAULTS = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def load_document(text: str | bytes) -> Any:
    """Parse YAML or JSON to plain data. Raises InvalidInput with the line and column of the error."""
    if len(text) > LARGEST_BYTES:
        raise InvalidInput.at("", f"the document is larger than {LARGEST_BYTES:,} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput.at("", f"the document is not UTF-8 text: byte {error.start} ({error.reason})") from None
    return checked(_read(text))


def checked(document: object) -> Any:
    """Return `document` if it is plain data that can be stored. Raises InvalidInput with a fault per wrong place."""
    faults = list(islice(_faults(document, "", DEEPEST), _MOST_FAULTS))
    if faults:
        raise InvalidInput(faults)
    return document


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396) to `target`: null removes a key, mappings merge, the rest replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def digest(document: object) -> str:
    """Return the hash of a document; it does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _faults(value: object, pointer: str, depth: int) -> Iterator[Fault]:
    if isinstance(value, Mapping | list | tuple):
        if depth == 0:
            yield Fault(pointer, f"is nested more than {DEEPEST} levels deep")
            return
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            step = str(key).replace("~", "~0").replace("/", "~1")
            if isinstance(value, Mapping) and (reason := _text_fault(key)):
                yield Fault(pointer, f"has a key that {reason}")
            else:
                yield from _faults(item, f"{pointer}/{step}", depth - 1)
    elif reason := _scalar_fault(value):
        yield Fault(pointer, reason)


def _scalar_fault(value: object) -> str | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if abs(value) < _LARGEST_WHOLE else "is too large a whole number: it must lie within 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number, not NaN or infinity"
    return _text_fault(value)


def _text_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be text, a number, true, false or null, not a {type(value).__name__}"
    if "\0" in value:
        return "must not contain the character NUL"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "must be valid Unicode: it contains half of a surrogate pair"
    return None


# ---- reading YAML -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    count_before: int
    key: str | None = None


@dataclass(slots=True)
class _Reader:
    """Builds plain data from parser events, so that neither depth nor aliases can exhaust the memory."""

    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Value and expanded size of each anchored node."""
    count: int = 0
    document: Any = None
    documents: int = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                _refuse(event, "there is a second document; a file holds one job")
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.open.pop()
            if done.anchor:
                self.anchors[done.anchor] = (done.value, self.count - done.count_before)
            self._add(event, done.value)
        elif isinstance(event, yaml.NodeEvent):
            self._take_node(event)

    def _take_node(self, event: yaml.NodeEvent) -> None:
        self._spend(event, 1)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                _refuse(event, f"the alias *{event.anchor} refers to nothing that is complete before it")
            value, size = self.anchors[event.anchor]
            self._spend(event, size)
            self._add(event, value)
        elif isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            self._add(event, value)
        else:
            self._open(event)

    def _open(self, event: Any) -> None:
        if event.tag is not None:
            _refuse(event, f"tags such as {event.tag} are not read")
        if self.open and isinstance(self.open[-1].value, dict) and self.open[-1].key is None:
            _refuse(event, "a key must be text")
        if len(self.open) >= DEEPEST:
            _refuse(event, f"the document is nested more than {DEEPEST} levels deep")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(value, event.anchor, self.count))

    def _add(self, event: yaml.Event, value: Any) -> None:
        if not self.open:
            self.document = value
            return
        at = self.open[-1]
        if isinstance(at.value, list):
            at.value.append(value)
        elif at.key is None:
            if not isinstance(value, str):
                _refuse(event, f"a key must be text: put quotes around {json.dumps(value)}")
            if value in at.value:
                _refuse(event, f"the key {value!r} occurs twice")
            at.key = value
        else:
            at.value[at.key] = value
            at.key = None

    def _spend(self, event: yaml.Event, count: int) -> None:
        self.count += count
        if self.count > MOST_VALUES:
            _refuse(event, f"the document has more than {MOST_VALUES:,} values (each alias counts as its whole value)")


def _read(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _read_yaml(text)  # which also reports the place of an error in JSON


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_yaml(text: str) -> Any:
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        where = _place(error.problem_mark) if error.problem_mark else ""
        raise InvalidInput.at("", f"{where}{error.problem or error.context or 'cannot be read'}") from None
    except yaml.YAMLError as error:
        raise InvalidInput.at("", f"the document cannot be read: {str(error).splitlines()[0]}") from None
    if not reader.documents:
        raise InvalidInput.at("", "the document is empty")
    return reader.document


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if event.tag is not None:
        _refuse(event, f"tags such as {event.tag} are not read")
    if event.style is not None and event.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        _refuse(event, f"{text} is not a finite number")
    if _WHOLE.fullmatch(text):
        return _whole(event, text)
    if _REAL.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            _refuse(event, f"{text} is too large a number")
        return number
    return text


def _whole(event: yaml.ScalarEvent, text: str) -> int:
    number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) < 30 else _LARGEST_WHOLE
    if abs(number) >= _LARGEST_WHOLE:
        _refuse(event, f"{text[:30]} is too large a whole number: it must lie within 64 bits")
    return number


def _refuse(event: yaml.Event, message: str) -> NoReturn:
    raise InvalidInput.at("", f"{_place(event.start_mark)}{message}")


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}: "

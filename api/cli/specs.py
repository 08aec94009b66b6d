"""Reading a job spec from a file or stdin, and changing it by --set."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from searchsvc.errors import InvalidInput, NotFound, below, pointer
from searchsvc.service.documents.documents import load_document

LARGEST_BYTES = 1 << 20


def read_spec(source: str, changes: Iterable[str] = ()) -> dict[str, Any]:
    """Read a job spec and apply the changes. Raises NotFound, InvalidInput."""
    document = read_document(source, "job spec")
    for change in changes:
        _apply(document, change)
    return document


def read_document(source: str, what: str) -> dict[str, Any]:
    """Read the mapping in a YAML or JSON file; `-` is stdin.

    Raises NotFound, and InvalidInput, which calls the expected content `what`.
    """
    document = load_document(_text(source))
    if not isinstance(document, dict):
        raise InvalidInput.at("", f"{source} holds no {what}: it must be a mapping of keys to values")
    return document


def changed(spec: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Return the changed sections of a spec, as a JSON merge patch."""
    after = deepcopy(spec)
    for change in changes:
        _apply(after, change)
    return {name: section for name, section in after.items() if name not in spec or section != spec[name]}


def _text(source: str) -> str:
    try:
        if source == "-":
            return sys.stdin.read(LARGEST_BYTES + 1)
        with Path(source).open(encoding="utf-8") as file:
            return file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no file {source}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput.at("", f"{source} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InvalidInput.at("", f"{source} cannot be read: {error.strerror}") from None


def _apply(document: dict[str, Any], change: str) -> None:
    """Set a value; steps that are whole numbers select elements of existing lists.

    A key that begins with `/` is a JSON pointer, which can name keys with dots: `/space/fix/model.depth=3`.
    """
    key, equals, text = change.partition("=")
    if not key or not equals:
        raise InvalidInput.at("", f"--set takes KEY=VALUE, as in budget.trials=8, not {change!r}")
    *steps, last = _steps(key)
    place = pointer(*steps, last)
    at: Any = document
    for index, step in enumerate(steps):
        at = _inner(at, step, pointer(*steps[: index + 1]))
    if isinstance(at, list):
        at[_index(at, last, place)] = _value(text, place)
    elif isinstance(at, dict):
        at[last] = _value(text, place)
    else:
        raise InvalidInput.at(place, f"{pointer(*steps)} is a single value: it has no {last}")


def _steps(key: str) -> list[str]:
    if key.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in key[1:].split("/")]
    return key.split(".")


def _value(text: str, place: str) -> Any:
    """Parse the text after the `=`: no text is null, as in YAML. Raises InvalidInput at `place`."""
    with below(place):
        return load_document(text) if text.strip() else None


def _inner(at: Any, step: str, path: str) -> Any:
    if isinstance(at, list):
        return at[_index(at, step, path)]
    if isinstance(at, dict):
        return at.setdefault(step, {})
    raise InvalidInput.at(path, "goes below a single value")


def _index(at: list[Any], step: str, path: str) -> int:
    if not step.isascii() or not step.isdigit() or int(step) >= len(at):
        raise InvalidInput.at(path, f"must be a place in a list of {len(at)}, counted from 0")
    return int(step)

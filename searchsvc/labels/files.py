"""Label files, read as documents: of images in order or by name, the classes that are right.

A `.json` file is a list with a list of classes per image, as ImageNet's `real.json`, or an object of such lists by
name of image. A `.csv` file has a line per image: its name, then each of its classes. Both may name classes; json may
number them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from searchsvc.errors import Fault, InvalidInput

LabelDocument: TypeAlias = Sequence[Sequence[int | str]] | Mapping[str, Sequence[int | str]]
"""Sets of classes, each by its index or its name; by the number of the image, or by its name."""

_FAULTS_LISTED = 20


def read_labels(path: Path) -> LabelDocument:
    """Raises InvalidInput (pointers into the document) where the file cannot be read or is no label file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.at("", f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if path.suffix.lower() == ".csv":
        return _csv(text, path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.at("", f"{path} is neither named .csv nor json: {error}") from None
    return checked(document)


def checked(document: object) -> LabelDocument:
    """`document`, where it is one of sets of classes. Raises InvalidInput with the places that are wrong."""
    if not isinstance(document, Mapping | list):
        raise InvalidInput.at("", "must be a list with a list of classes per image, or such lists by name of image")
    pairs = document.items() if isinstance(document, Mapping) else enumerate(document)
    faults = [
        Fault(f"/{_escaped(key)}", "must be a list of classes, each a number or a name")
        for key, classes in pairs
        if not isinstance(classes, list) or any(type(one) not in (int, str) for one in classes)
    ]
    if faults:
        raise InvalidInput(faults[:_FAULTS_LISTED])
    return document


def write_labels(document: LabelDocument, path: Path) -> None:
    """As `read_labels` reads it: csv where the path ends so and images have names, else json."""
    if path.suffix.lower() == ".csv" and isinstance(document, Mapping):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([name, *classes] for name, classes in document.items())
    else:
        path.write_text(json.dumps(document), encoding="utf-8")


def _csv(text: str, path: Path) -> LabelDocument:
    sets: dict[str, list[int | str]] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        if not row:
            continue
        name, *classes = (cell.strip() for cell in row)
        if name in sets:
            raise InvalidInput.at("", f"{path} has the image {name!r} twice, again in line {number}")
        sets[name] = [one for one in classes if one]
    return sets


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")

"""Label files, read as documents that list the correct classes of each image.

A `.json` file is a list with a list of classes per image, such as ImageNet's `real.json`, or an object of such lists by
image name. A `.csv` file has a line per image: its name, then each of its classes. Both may name classes; JSON may
number them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from searchsvc.errors import Fault, InvalidInput
from searchsvc.files import open_confined

LabelDocument: TypeAlias = Sequence[Sequence[int | str]] | Mapping[str, Sequence[int | str]]
"""Sets of classes, each class by index or name: a list in the order of the images, or a mapping by image name."""

_FAULTS_LISTED = 20


def read_labels(path: Path, within: Sequence[str] | None = None) -> LabelDocument:
    """Return the document in a label file, which must lie below the folders `within`; None: anywhere.

    Raises InvalidInput (pointers into the document) if the file cannot be read or is not a label file.
    """
    try:
        with open_confined(path, within) as file:
            text = file.read().decode("utf-8-sig")
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
    """Return `document` if it consists of sets of classes. Raises InvalidInput with the places that are wrong."""
    if not isinstance(document, Mapping | list):
        raise InvalidInput.at("", "must be a list with a list of classes per image, or such lists by name of image")
    pairs = document.items() if isinstance(document, Mapping) else enumerate(document)
    faults = [
        Fault(f"/{_escaped(key)}", "must be a list of classes, each a number or a name")
        for key, classes in pairs
        if not isinstance(classes, list) or any(type(label) not in (int, str) for label in classes)
    ]
    if faults:
        raise InvalidInput(faults[:_FAULTS_LISTED])
    return document


def write_labels(document: LabelDocument, path: Path) -> None:
    """Write a file for `read_labels`: CSV if the path ends in .csv and the images have names, JSON otherwise."""
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
        sets[name] = [label for label in classes if label]
    return sets


def _escaped(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")

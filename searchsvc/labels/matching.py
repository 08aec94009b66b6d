"""Conversion of a label document to label sets: of all its lists, or of the validation images of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from searchsvc.domain.trial_task import ValidationSplit
from searchsvc.errors import Fault, InvalidInput
from searchsvc.labels.files import LabelDocument
from searchsvc.labels.sets import LabelSets, Statistics

_FAULTS_LISTED = 20
_NAMES_LISTED = 5


def statistics(document: LabelDocument) -> Statistics:
    """Return the statistics of all sets in a document, independent of any dataset."""
    lists = list(document.values() if isinstance(document, Mapping) else document)
    numbers: dict[int | str, int] = {}
    return LabelSets.of([numbers.setdefault(label, len(numbers)) for label in classes] for classes in lists).statistics


def label_sets(document: LabelDocument, images: ValidationSplit) -> LabelSets:
    """Return the label sets of `images`, in their order; the document's lists of other images are ignored.

    Raises InvalidInput (pointers into the document) if a list has another length than the dataset, an image is
    missing, a class is unknown, or no image has a label.
    """
    keys = _keys_of_list(document, images) if isinstance(document, Sequence) else _keys_by_name(document, images)
    numbers = {name: number for number, name in enumerate(images.classes)}
    faults: list[Fault] = []
    sets: list[list[int]] = []
    for pointer, classes in keys:
        indices = [_class_index(label, numbers) for label in classes]
        if None in indices and len(faults) < _FAULTS_LISTED:
            faults += [
                Fault(f"{pointer}/{place}", _unknown(classes[place], images.classes))
                for place, index in enumerate(indices)
                if index is None
            ]
        sets.append([index for index in indices if index is not None])
    if faults:
        raise InvalidInput(faults[:_FAULTS_LISTED])
    matched = LabelSets.of(sets)
    if not len(matched.classes):
        raise InvalidInput.at("", f"the sets of all {len(sets):,} validation images are empty")
    return matched


def _keys_of_list(
    document: Sequence[Sequence[int | str]], images: ValidationSplit
) -> Iterator[tuple[str, Sequence[int | str]]]:
    if len(document) != images.total:
        raise InvalidInput.at(
            "", f"has {len(document):,} lists; the dataset has {images.total:,} images, and each needs one"
        )
    return ((f"/{number}", document[number]) for number in images.numbers.tolist())


def _keys_by_name(
    document: Mapping[str, Sequence[int | str]], images: ValidationSplit
) -> Iterator[tuple[str, Sequence[int | str]]]:
    missing = [name for name in images.names if name not in document]
    if missing:
        listed = ", ".join(missing[:_NAMES_LISTED]) + (", ..." if len(missing) > _NAMES_LISTED else "")
        raise InvalidInput.at(
            "", f"has no entry for {len(missing):,} of {len(images.names):,} validation images: {listed}"
        )
    return ((f"/{name.replace('~', '~0').replace('/', '~1')}", document[name]) for name in images.names)


def _class_index(label: int | str, numbers: Mapping[str, int]) -> int | None:
    """Return the index of a class that is listed by name or number, or None if it is unknown."""
    if isinstance(label, str):
        return numbers.get(label)
    return label if 0 <= label < len(numbers) else None


def _unknown(label: int | str, names: tuple[str, ...]) -> str:
    if isinstance(label, int):
        return f"no class {label}: the dataset has {len(names):,}, numbered from 0"
    listed = ", ".join(names[:_NAMES_LISTED]) + (", ..." if len(names) > _NAMES_LISTED else "")
    return f"no class {label!r}; there are {listed}"

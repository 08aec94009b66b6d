"""From a label document to label sets: of all that it lists, or of the validation images of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from searchsvc.domain.trial_task import ValidationSplit
from searchsvc.errors import Fault, InvalidInput
from searchsvc.labels.files import LabelDocument
from searchsvc.labels.sets import LabelSets, Statistics

_FAULTS_LISTED = 20
_NAMES_LISTED = 5


def statistics(document: LabelDocument) -> Statistics:
    """What the document says, whatever its dataset is."""
    lists = list(document.values() if isinstance(document, Mapping) else document)
    numbers: dict[int | str, int] = {}
    return LabelSets.of([numbers.setdefault(one, len(numbers)) for one in classes] for classes in lists).statistics


def label_sets(document: LabelDocument, images: ValidationSplit) -> LabelSets:
    """The sets of `images`, in their order; what the document says of others is passed over.

    Raises InvalidInput (pointers into the document) where a list has another length than the dataset, an image is
    missing, a class is unknown, or no image has a label.
    """
    keys = _keys_of_list(document, images) if isinstance(document, Sequence) else _keys_by_name(document, images)
    numbers = {name: number for number, name in enumerate(images.classes)}
    faults: list[Fault] = []
    sets: list[list[int]] = []
    for pointer, classes in keys:
        found = [_class(one, numbers) for one in classes]
        if None in found and len(faults) < _FAULTS_LISTED:
            faults += [
                Fault(f"{pointer}/{place}", _unknown(classes[place], images.classes))
                for place, one in enumerate(found)
                if one is None
            ]
        sets.append([one for one in found if one is not None])
    if faults:
        raise InvalidInput(faults[:_FAULTS_LISTED])
    found_sets = LabelSets.of(sets)
    if not len(found_sets.classes):
        raise InvalidInput.at("", f"the sets of all {len(sets):,} validation images are empty")
    return found_sets


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
            "", f"says nothing of {len(missing):,} of {len(images.names):,} validation images: {listed}"
        )
    return ((f"/{name.replace('~', '~0').replace('/', '~1')}", document[name]) for name in images.names)


def _class(one: int | str, numbers: Mapping[str, int]) -> int | None:
    """Its index; None where there is no such class."""
    if isinstance(one, str):
        return numbers.get(one)
    return one if 0 <= one < len(numbers) else None


def _unknown(one: int | str, names: tuple[str, ...]) -> str:
    if isinstance(one, int):
        return f"no class {one}: the dataset has {len(names):,}, numbered from 0"
    listed = ", ".join(names[:_NAMES_LISTED]) + (", ..." if len(names) > _NAMES_LISTED else "")
    return f"no class {one!r}; there are {listed}"

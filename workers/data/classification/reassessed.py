"""The label file of a dataset: a set of classes for each validation image, in addition to its own class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from searchsvc.domain.trial_task import ValidationSplit
from searchsvc.errors import Fault, InvalidInput
from searchsvc.labels import LabelSets, label_sets, read_labels
from workers.data.options import ReassessedOptions, existing, stamps

_OPTION = "/reassessed"


def label_file(options: ReassessedOptions) -> Hashable:
    """Return a value that changes when the file does."""
    if options.reassessed is None:
        return None
    return stamps([existing(options.reassessed, folder=False, pointer=_OPTION, within=options.within)])


def read_sets(path: str, images: ValidationSplit, within: Sequence[str] | None) -> LabelSets:
    """Return the label sets of the validation images, in order. Raises InvalidInput that names the place in the file.
    """
    try:
        return label_sets(read_labels(existing(path, folder=False, pointer=_OPTION, within=within), within), images)
    except InvalidInput as error:
        raise InvalidInput(
            one if one.pointer == _OPTION else Fault(_OPTION, f"{one.pointer} {one.message}".strip())
            for one in error.faults
        ) from None

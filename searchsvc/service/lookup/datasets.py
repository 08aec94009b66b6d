"""The dataset of a job: where it may lie, and whether it can be read.

A path that comes from a stranger must lie under one of the data roots, with every link followed. The spec is stored
with the path that was found, so that a driver, which starts somewhere else, reads the same files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searchsvc.domain import DatasetInfo, JobSpec, Task
from searchsvc.domain.spec import Dataset, FileDataset
from searchsvc.errors import Fault, InvalidInput
from searchsvc.settings import Settings

_LABELS = "reassessed"
"""The option of a dataset that is a file of its own, wherever the images are."""


def located(spec: JobSpec, *, trusted: bool, settings: Settings) -> JobSpec:
    """The spec with the dataset's paths absolute and free of links. Raises InvalidInput, pointers into the spec."""
    try:
        return spec.model_copy(update={"dataset": located_section(spec.dataset, trusted=trusted, settings=settings)})
    except InvalidInput as error:
        raise error.below("/dataset") from None


def located_section(section: Dataset, *, trusted: bool, settings: Settings) -> Dataset:
    """The section of a dataset with its paths absolute and free of links. Raises InvalidInput, pointers into it."""
    written, has_path = section.model_dump(mode="json"), isinstance(section, FileDataset)
    files = [key for key in (*(["path"] if has_path else []), _LABELS) if isinstance(written.get(key), str)]
    others = [key for key in section.options if key != _LABELS] if has_path else []
    faults = [] if trusted else [fault for key in others if (fault := _hidden_path(key, written[key]))]
    for key in files:
        try:
            written[key] = str(located_path(written[key], trusted=trusted, settings=settings))
        except ValueError as error:
            faults.append(Fault(f"/{key}", str(error)))
    if faults:
        raise InvalidInput(faults)
    return type(section).model_validate(written) if files else section


def located_path(path: str, *, trusted: bool, settings: Settings) -> Path:
    """Absolute and free of links. Raises ValueError where nothing is there, or it is not for whoever asks."""
    return _trusted(path) if trusted else _under_roots(path, settings)


def inspect(task: Task, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:
    """What the task says of the dataset. Raises InvalidInput, pointers into the spec."""
    try:
        return task.inspect(dataset, seed)
    except InvalidInput as error:
        raise error.below("/dataset") from None
    except OSError as error:
        raise InvalidInput.at("/dataset/path", f"cannot be read: {error.strerror or error}") from None


def _trusted(path: str) -> Path:
    found = Path(os.path.realpath(Path(path).expanduser()))
    if not found.exists():
        raise ValueError(f"there is no file or folder {found}")
    return found


def _under_roots(path: str, settings: Settings) -> Path:
    """A relative path is looked for in each root. What lies outside is answered alike, whether it exists or not."""
    roots = [Path(os.path.realpath(root)) for root in settings.data_roots]
    inside = [
        found
        for root in roots
        if any((found := Path(os.path.realpath(root / path))).is_relative_to(allowed) for allowed in roots)
    ]
    if not inside:
        allowed = ", ".join(map(str, settings.data_roots)) or "none is set"
        raise ValueError(f"must lie under one of the data roots of the service ({allowed})")
    existing = [found for found in inside if found.exists()]
    if not existing:
        raise ValueError(f"there is no file or folder {inside[0]}")
    return existing[0]


def _hidden_path(key: str, value: object) -> Fault | None:
    """An option of a format could name a file too: relative to the dataset it may, but it may not lead out of it."""
    if isinstance(value, str) and (os.path.isabs(value) or value.startswith("~") or ".." in Path(value).parts):
        return Fault(f"/{key}", "must not lead out of the dataset's folder")
    return None

"""The dataset of a job: its permitted locations, and a check that it can be read.

A path from an untrusted user must be under one of the data roots after every link has been followed. The spec is stored
with the resulting path, so that a driver that starts in another directory reads the same files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from glob import has_magic
from pathlib import Path
from typing import Any

from searchsvc.domain import DatasetInfo, Task
from searchsvc.domain.spec import Dataset, FileDataset
from searchsvc.domain.task import ConfinedTask, FileTask
from searchsvc.errors import Fault, InvalidInput, below
from searchsvc.service.lookup.task_calls import task_call
from searchsvc.settings import Settings

_LABELS = "reassessed"
"""The option that names a file of label sets, for datasets of any kind."""


def path_options(task: Task | None, section: Dataset) -> tuple[str, ...]:
    """Return the options of a section that are paths: as its format declares, or `path` and label sets by default."""
    if isinstance(task, FileTask):
        with task_call(task.name, "path_options"):
            return task.path_options(section.model_dump(mode="json"))
    return ("path", _LABELS) if isinstance(section, FileDataset) else (_LABELS,)


def located(task: Task | None, section: Dataset, *, trusted: bool, settings: Settings) -> Dataset:
    """Make the paths in the section of a dataset absolute and free of links.

    The files in a folder may be links too: unless the user is trusted, the section tells the task to read none that
    leads out of the data roots, now and later. Raises InvalidInput with pointers into the section.
    """
    paths = path_options(task, section)
    document, has_path = section.model_dump(mode="json"), isinstance(section, FileDataset)
    files = [key for key in paths if isinstance(document.get(key), str)]
    others = [key for key in section.options if key not in files] if has_path else []
    faults = [] if trusted else [fault for key in others if (fault := _hidden_path(key, document[key]))]
    for key in files:
        try:
            document[key] = str(_located_pattern(document[key], trusted=trusted, settings=settings))
        except ValueError as error:
            faults.append(Fault(f"/{key}", str(error)))
    if faults:
        raise InvalidInput(faults)
    if files and not trusted and isinstance(task, ConfinedTask):
        document = dict(task.confined(document, [os.path.realpath(root) for root in settings.data_roots]))
    return type(section).model_validate(document) if files else section


def located_path(path: str, *, trusted: bool, settings: Settings) -> Path:
    """Make a path absolute and free of links. Raises ValueError if it does not exist, or the user may not read it."""
    return _trusted(path) if trusted else _under_roots(path, settings)


def _located_pattern(path: str, *, trusted: bool, settings: Settings) -> Path:
    """Make a path absolute whose name may be a pattern for files of a folder. Raises ValueError if no file matches.

    The user must be allowed to read every matching file: a link may lead out of the data roots.
    """
    folder, name = os.path.split(path)
    if not has_magic(name):
        return located_path(path, trusted=trusted, settings=settings)
    try:
        return located_path(path, trusted=trusted, settings=settings)  # a file may be called so
    except ValueError as error:
        if not (files := sorted(located_path(folder or ".", trusted=trusted, settings=settings).glob(name))):
            raise error from None
    for file in files:
        located_path(str(file), trusted=trusted, settings=settings)
    return files[0].parent / name


def inspect(task: Task, dataset: Mapping[str, Any], seed: int) -> DatasetInfo:
    """Let the task inspect the dataset. Raises InvalidInput with pointers into the spec."""
    with below("/dataset"):
        try:
            with task_call(task.name, "inspect"):
                return task.inspect(dataset, seed)
        except OSError as error:
            raise InvalidInput.at("/path", f"cannot be read: {error.strerror or error}") from None


def _trusted(path: str) -> Path:
    absolute = Path(os.path.realpath(Path(path).expanduser()))
    if not absolute.exists():
        raise ValueError(f"there is no file or folder {absolute}")
    return absolute


def _under_roots(path: str, settings: Settings) -> Path:
    """Look for a relative path in each root. The message for a path outside does not reveal whether it exists."""
    roots = [Path(os.path.realpath(root)) for root in settings.data_roots]
    absolute = [Path(os.path.realpath(root / path)) for root in roots]
    inside = [candidate for candidate in absolute if any(candidate.is_relative_to(root) for root in roots)]
    if not inside:
        allowed = ", ".join(map(str, settings.data_roots)) or "none is set"
        mend = "copy it there, or start the service with its folder in SEARCHSVC_DATA_ROOTS"
        raise ValueError(f"must lie under one of the data roots of the service ({allowed}): {mend}")
    existing = [candidate for candidate in inside if candidate.exists()]
    if not existing:
        raise ValueError(f"there is no file or folder {inside[0]}")
    return existing[0]


def _hidden_path(key: str, value: object) -> Fault | None:
    """Return a fault if an option of a format, which may name a file in the dataset's folder, leads out of it."""
    if isinstance(value, str) and (os.path.isabs(value) or value.startswith("~") or ".." in Path(value).parts):
        return Fault(f"/{key}", "must not lead out of the dataset's folder: name a path below it, without `..`")
    return None

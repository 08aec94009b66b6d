"""Pins: fingerprints of the files that a job learns from, stored with the job, so that a change is noticed.

A file is pinned by its SHA-256. A folder is pinned by the names, sizes and times of modification of its files, since
reading all of them at each start of a driver would take too long; hidden files do not count. Weights have their own
SHA-256 in the spec, and datasets without files never change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from glob import has_magic
from pathlib import Path

from searchsvc import tasks
from searchsvc.checksums import sha256_of
from searchsvc.domain import JobSpec, Task
from searchsvc.domain.spec import Dataset
from searchsvc.errors import NotFound
from searchsvc.service.lookup import datasets

_MISSING = "missing"


def pins_of(spec: JobSpec) -> dict[str, str]:
    """Return the fingerprints of a stored spec's files by the pointers to their paths in the spec."""
    try:
        task: Task | None = tasks.find(spec.task)
    except NotFound:
        task = None
    sections: dict[str, Dataset] = {"/dataset": spec.dataset}
    if spec.self_training is not None and not isinstance(spec.self_training.unlabelled, str):
        sections["/self_training/unlabelled"] = spec.self_training.unlabelled
    return {
        f"{pointer}/{option}": _fingerprint(path)
        for pointer, section in sections.items()
        for option, path in _paths(task, section)
    }


def differences(pinned: Mapping[str, str], now: Mapping[str, str], spec: JobSpec) -> list[str]:
    """Return a sentence for each path whose content is not the pinned content."""
    document = spec.document()
    return [
        f"{_path_at(document, pointer)} ({pointer}) {'is missing' if now.get(pointer) == _MISSING else 'has changed'}"
        for pointer, fingerprint in pinned.items()
        if now.get(pointer) != fingerprint
    ]


def _paths(task: Task | None, section: Dataset) -> Iterator[tuple[str, str]]:
    document = section.model_dump(mode="json")
    for option in datasets.path_options(task, section):
        if isinstance(path := document.get(option), str):
            yield option, path


def _fingerprint(path: str) -> str:
    """Return the fingerprint of a file, of a folder, or of the files of a folder that match a pattern."""
    try:
        if os.path.isfile(path):
            return f"sha256:{sha256_of(Path(path))}"
        if os.path.isdir(path):
            return _of_files(_below(path), path)
        folder, name = os.path.split(path)
        matching = sorted(map(str, Path(folder).glob(name))) if has_magic(name) else []
        return _of_files(matching, folder) if matching else _MISSING
    except OSError as error:
        return f"unreadable: {error.strerror or error}"


def _below(folder: str) -> list[str]:
    """Return the files below a folder, links to folders followed once, in the order of their names."""
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))
    return files


def _of_files(files: list[str], folder: str) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = os.stat(file)
        name = os.path.relpath(file, folder)
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return f"files:{digest.hexdigest()}"


def _path_at(document: object, pointer: str) -> object:
    for step in pointer.split("/")[1:]:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document

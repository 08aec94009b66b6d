"""A check of files that a job may search on: the format they are in, and what a task reads of them.

Tasks recognise files (`searchsvc.domain.task.CheckedTask`); the section that results is read as that of a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchsvc import tasks
from searchsvc.domain import DatasetInfo
from searchsvc.domain.faults import parse_section
from searchsvc.domain.spec import Dataset, FileDataset, NamedDataset
from searchsvc.domain.task import CheckedTask, DatasetSummary
from searchsvc.errors import InvalidInput, NotFound, below
from searchsvc.service.lookup import datasets
from searchsvc.service.lookup.task_calls import task_call
from searchsvc.settings import Settings


@dataclass(frozen=True, slots=True)
class Recognition:
    """A dataset section that fits files, and the other sections that fit them less closely."""

    task: CheckedTask
    section: Mapping[str, Any]
    others: tuple[str, ...] = ()
    """Format and task of each other section, as in `csv (detection)`."""


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """Section of a dataset, and the things that a task reads of it."""

    task: str
    section: Mapping[str, Any]
    """The section of a job, with absolute paths."""
    others: tuple[str, ...]
    info: DatasetInfo
    summary: DatasetSummary


def recognised(path: Path, task: str | None = None, format: str | None = None) -> Recognition:  # noqa: A002 - the user's word
    """Find the format of a file or folder; `task` and `format` limit the choice.

    Raises NotFound if there is no such file, and InvalidInput if it looks like no format, or several fit equally.
    """
    if not path.exists():
        raise NotFound(f"no file or folder {path}")
    asked = _checked_tasks(task)
    if format is not None and not any(format == kind for one in asked for kind, _ in one.formats()):
        names = ", ".join(dict.fromkeys(kind for one in asked for kind, _ in one.formats()))
        raise InvalidInput.at("", f"no format {format!r}; there are {names}")
    found = []
    for one in asked:
        with task_call(one.name, "recognise"):
            found += [(entry.rank, one, entry.section) for entry in one.recognise(path)]
    fitting = [entry for entry in found if format in (None, entry[2].get("format"))]
    if not fitting:
        raise _unknown(path, asked, [_words(one, section) for _, one, section in found])
    highest = max(rank for rank, _, _ in fitting)
    best = [(one, section) for rank, one, section in fitting if rank == highest]
    if len(best) > 1:
        names = ", ".join(_words(one, section) for one, section in best)
        raise InvalidInput.at("", f"{path} may be {names}: choose one by --format, or --task")
    [(chosen, section)] = best
    others = tuple(_words(one, other) for _, one, other in found if other is not section)
    return Recognition(chosen, section, others)


def accepting(section: Mapping[str, Any], task: str | None = None) -> Recognition:
    """Find the task that reads a dataset section. Raises InvalidInput if there is none, or several."""
    key = "format" if "format" in section else "name"
    kind = section.get(key)
    fitting = [one for one in _checked_tasks(task) if kind in [name for name, _ in one.datasets()]]
    if len(fitting) > 1 and isinstance(section.get("path"), str):
        path = Path(section["path"]).expanduser()
        ranks = {one.name: _rank(one, path, kind) for one in fitting} if path.exists() else {}
        fitting = [one for one in fitting if not ranks or ranks[one.name] == max(ranks.values())]
    if len(fitting) > 1:
        names = " and ".join(one.name for one in fitting)
        raise InvalidInput.at(f"/{key}", f"{kind!r} is a {key} of {names}: choose one by --task")
    if not fitting:
        names = ", ".join(dict.fromkeys(name for one in _checked_tasks(task) for name, _ in one.datasets()))
        raise InvalidInput.at(f"/{key}", f"no dataset {key} {kind!r}; there are {names}")
    return Recognition(fitting[0], section)


def checked(found: Recognition, settings: Settings) -> DatasetCheck:
    """Read a dataset as a job on this machine would. Raises InvalidInput with all faults, at `/dataset/...`."""
    task = found.task
    with below("/dataset"):
        is_files = "format" in found.section
        model: type[FileDataset] | type[NamedDataset] = FileDataset if is_files else NamedDataset
        parsed: Dataset = parse_section(model, found.section)
        section = datasets.located(task, parsed, trusted=True, settings=settings).model_dump(mode="json")
    info = datasets.inspect(task, section, 0)
    with below("/dataset"), task_call(task.name, "summarise"):
        summary = task.summarise(section)
    return DatasetCheck(task.name, section, found.others, info, summary)


def contact_sheet(check: DatasetCheck) -> bytes:
    """Return a PNG of sample images with their labels. Raises InvalidInput if one cannot be decoded."""
    [task] = _checked_tasks(check.task)
    with below("/dataset"), task_call(check.task, "contact_sheet"):
        return task.contact_sheet(check.section)


def _checked_tasks(name: str | None) -> list[CheckedTask]:
    """Return the tasks that can check files, or the named one. Raises NotFound, and InvalidInput if it cannot."""
    asked = [tasks.find(name)] if name is not None else tasks.all_tasks()
    found = [task for task in asked if isinstance(task, CheckedTask)]
    if not found:
        raise InvalidInput.at("", f"the task {name} does not recognise files" if name else "no task recognises files")
    return found


def _rank(task: CheckedTask, path: Path, kind: object) -> int:
    with task_call(task.name, "recognise"):
        return max((one.rank for one in task.recognise(path) if one.section.get("format") == kind), default=-1)


def _words(task: CheckedTask, section: Mapping[str, Any]) -> str:
    return f"{section['format']} ({task.name})"


def _unknown(path: Path, asked: list[CheckedTask], others: list[str]) -> InvalidInput:
    """Return the error about files in no format that was asked for, with a line for each format."""
    if others:
        return InvalidInput.at("", f"{path} does not look like that format; it looks like {', '.join(others)}")
    looked = "; ".join(f"{kind} ({task.name}): {words}" for task in asked for kind, words in task.formats())
    way = "arrange the files in one of these ways, or name the format in the `dataset` section of a job"
    return InvalidInput.at("", f"{path} looks like no format of a dataset: {way}. Looked for {looked}")

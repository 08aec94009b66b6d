"""Search tasks: the entry points of the group `searchsvc.tasks` of all installed packages."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from searchsvc.domain import Task
from searchsvc.errors import NotFound

GROUP = "searchsvc.tasks"

_log = logging.getLogger(__name__)


def names() -> list[str]:
    """Return the names of all tasks in alphabetical order; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find(name: str) -> Task:
    """Return the task with that name. Raises NotFound, which lists the available names or says why it is missing."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _loaded(entry)
    raise NotFound(f"no task {name!r}; there are {', '.join(names()) or 'none'}")


def all_tasks() -> list[Task]:
    """Return all tasks that can be imported, in alphabetical order."""
    tasks = []
    for name in names():
        try:
            tasks.append(find(name))
        except NotFound as error:
            _log.warning("%s", error)
    return tasks


def _loaded(entry: EntryPoint) -> Task:
    try:
        return cast("Task", entry.load())
    except Exception as error:  # a plug-in may fail in any way when it is imported
        _log.exception("the task %s cannot be imported", entry.name)
        message = f"the task {entry.name!r} cannot be imported from {entry.value}: {type(error).__name__}: {error}"
        raise NotFound(message) from error

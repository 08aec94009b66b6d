"""Search tasks: the entry points of the group `searchsvc.tasks` of all installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from searchsvc.domain import Task
from searchsvc.errors import NotFound

GROUP = "searchsvc.tasks"


def names() -> list[str]:
    """Return the names of all tasks in alphabetical order; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find(name: str) -> Task:
    """Return the task with that name. Raises NotFound, which lists the available names."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return cast("Task", entry.load())
    raise NotFound(f"no task {name!r}; there are {', '.join(names()) or 'none'}")


def all_tasks() -> list[Task]:
    """Return all tasks in alphabetical order."""
    return [find(name) for name in names()]

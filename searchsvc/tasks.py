"""The tasks that can be searched: what installed packages offer under the entry point group `searchsvc.tasks`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from searchsvc.domain import Task
from searchsvc.errors import NotFound

GROUP = "searchsvc.tasks"


def names() -> list[str]:
    """All names, in alphabetical order; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find(name: str) -> Task:
    """The task of that name. Raises NotFound, which lists the names that there are."""
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return cast("Task", entry.load())
    raise NotFound(f"no task {name!r}; there are {', '.join(names()) or 'none'}")


def all_tasks() -> list[Task]:
    """Every task, in alphabetical order."""
    return [find(name) for name in names()]

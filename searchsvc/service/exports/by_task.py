"""Formats that only the task which trained a trial can write: its network in a form that others run or train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchsvc.domain import Task
from searchsvc.service.exports import weights
from searchsvc.service.exports.source import Source


def writer(task: Task, name: str) -> Callable[[Source, Path], None]:
    """What writes the task's format `name`. It raises what `Task.export` does, NotFound and Conflict."""

    def write(source: Source, path: Path) -> None:
        chosen = source.one_trial()
        weights.check(source, chosen)
        task.export(name, source.task_of(chosen), path)

    return write

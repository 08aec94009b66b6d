"""Formats written by the task that trained a trial: its network in a form that other programs can run or train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchsvc.domain import Task
from searchsvc.service.exports import weights
from searchsvc.service.exports.source import Source


def writer(task: Task, name: str) -> Callable[[Source, Path], None]:
    """Return the writer of the task's format; it raises NotFound, Conflict and the errors of `Task.export`."""

    def write(source: Source, path: Path) -> None:
        chosen = source.single_trial()
        weights.check(source, chosen)
        task.export(name, source.task_of(chosen), path)

    return write

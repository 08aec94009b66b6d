"""Formats written by the task that trained a trial: its network in a form that other programs can run or train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from searchsvc.domain import Task
from searchsvc.errors import NotFound
from searchsvc.service.exports import artifacts, weights
from searchsvc.service.exports.source import Source


def writer(task: Task, name: str) -> Callable[[Source, Path], None]:
    """Return the writer of the task's format; it raises NotFound, Conflict and the errors of `Task.export`."""

    def write(source: Source, path: Path) -> None:
        trial = source.single_trial()
        weights.stored(source, trial)
        # The task reads verified copies: in the trial's own folder a worker can replace a file at any time.
        with TemporaryDirectory(prefix="searchsvc-") as folder:
            for artifact in source.store.artifacts(trial.id):
                try:
                    artifacts.copy(source.artifacts_dir, artifact, Path(folder) / Path(artifact.name).name)
                except NotFound:
                    if artifact.name == weights.FILE:
                        raise
            task.export(name, source.task_of(trial, folder), path)

    return write

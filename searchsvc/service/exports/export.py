"""Exports of a job in a single table, name -> format: the formats of every job, and the formats that its task adds.

No other place names the formats: REST, searchctl and the tests of the documentation read them here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from searchsvc import tasks
from searchsvc.domain import Job, Task
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.service.exports import by_task, spec, table, weights
from searchsvc.service.exports.source import Source
from searchsvc.settings import Settings

Writer = Callable[[Source, Path], None]
"""Writes a source to a file."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which results can be exported."""

    description: str
    suffix: str
    write: Writer


def _write_optuna_study(source: Source, path: Path) -> None:
    from searchsvc.service.exports import optuna_study  # Optuna takes seconds to import

    optuna_study.write(source, path)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "weights": Format("the trained network of one trial", ".safetensors", weights.write),
        "spec": Format("a job spec that trains one trial's candidate again", ".yaml", spec.write),
        "csv": Format("all trials, a column per parameter and metric", ".csv", table.write),
        "optuna": Format("a study in an SQLite file that Optuna opens", ".db", _write_optuna_study),
    }
)


def formats_of(task: Task) -> Mapping[str, Format]:
    """Return all formats of the jobs of a task."""
    own = {
        name: Format(exported.description, exported.suffix, by_task.writer(task, name))
        for name, exported in task.exports.items()
    }
    return {**FORMATS, **own}


def formats_of_job(job: Job) -> Mapping[str, Format]:
    """Return all formats of a job; if its task is not installed, only the formats of every job."""
    try:
        return formats_of(tasks.find(job.spec.task))
    except NotFound:
        return FORMATS


def is_heavy(format: str) -> bool:  # noqa: A002 - the user's word
    """Return whether a format needs hundreds of megabytes of memory: those of tasks, and Optuna's."""
    return format == "optuna" or format not in FORMATS


def names() -> list[str]:
    """Return the names of all formats of all tasks."""
    return list(dict.fromkeys(name for task in tasks.all_tasks() for name in formats_of(task)))


def export(source: Source, *, format: str, destination: Path) -> Path:  # noqa: A002 - the user's word
    """Write the file and return its path. The destination is a file, or a folder for a file named after the job.

    An existing file is replaced in a single step when the new file is complete. Raises InvalidInput, Conflict,
    NotFound and RuntimeUnavailable.
    """
    chosen = _format(format, source.job)
    target = destination.expanduser()
    if target.is_dir():
        target = target / f"{source.job.name.replace(' ', '-')}{chosen.suffix}"
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        chosen.write(source, temporary)
        _to_disk(temporary)
        temporary.replace(target)
    except OSError as error:
        raise InvalidInput.at("/destination", f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def remove_files(settings: Settings, job_id: str) -> None:
    """Remove the weights, checkpoints and logs of a deleted job. Raises OSError if some of them remain."""
    for folder in (settings.artifacts_dir, settings.data_dir / "ray" / "tune"):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder / job_id)
    log = settings.job_log(job_id)
    for path in (log, log.with_suffix(".log.1")):
        path.unlink(missing_ok=True)


def _format(name: str, job: Job) -> Format:
    if name in FORMATS:
        return FORMATS[name]
    formats, task = formats_of_job(job), job.spec.task
    if name not in formats:
        raise InvalidInput.at("/format", f"a job of task {task} has no format {name!r}; there are {', '.join(formats)}")
    return formats[name]


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

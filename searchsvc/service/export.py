"""What can be taken away from a job: weights, a spec, a table, an Optuna study. One table, name -> format."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from searchsvc.errors import InvalidInput
from searchsvc.service.exports import optuna_study, spec, table, weights
from searchsvc.service.exports.source import Source
from searchsvc.settings import Settings

Writer = Callable[[Source, Path], None]
"""What to write, and the file to write it to."""


@dataclass(frozen=True, slots=True)
class Format:
    """A way to take results away."""

    description: str
    suffix: str
    write: Writer


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "weights": Format("the trained network of one trial", ".safetensors", weights.write),
        "spec": Format("a job spec that trains one trial's candidate again", ".yaml", spec.write),
        "csv": Format("all trials, a column per parameter and metric", ".csv", table.write),
        "optuna": Format("a study in an SQLite file that Optuna opens", ".db", optuna_study.write),
    }
)


def export(source: Source, *, format: str, destination: Path) -> Path:  # noqa: A002 - the user's word
    """Write the file and return its path. The destination is a file, or a folder that gets a file named by the job.

    What is there is replaced in one step, once the new file is complete. Raises InvalidInput, Conflict, NotFound.
    """
    if format not in FORMATS:
        raise InvalidInput.at("/format", f"there is no format {format!r}; there are {', '.join(FORMATS)}")
    chosen = FORMATS[format]
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
    """Weights, checkpoints and logs of a job that is deleted."""
    shutil.rmtree(settings.artifacts_dir / job_id, ignore_errors=True)
    log = settings.job_log(job_id)
    for path in (log, log.with_suffix(".log.1")):
        path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

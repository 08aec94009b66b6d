"""Trained networks named in a spec, and the files with their weights.

This is the only resolver of `searchsvc.domain.ModelSource`. It pins the network, so that a driver that starts later
finds either the same weights or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchsvc import files
from searchsvc.checksums import sha256_of
from searchsvc.domain import Job, ModelSource, PretrainedTask, Task, Trial, WeightsFile
from searchsvc.errors import Conflict, InvalidInput, NotFound, below
from searchsvc.service.exports import weights
from searchsvc.service.exports.source import Source
from searchsvc.service.lookup import references
from searchsvc.service.lookup.datasets import located_path
from searchsvc.service.lookup.task_calls import task_call
from searchsvc.service.results import standing
from searchsvc.settings import Settings
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class FoundModel:
    """An existing trained network."""

    source: ModelSource
    """The pinned source."""
    weights: WeightsFile


def find(
    source: ModelSource, *, task: Task | None, store: Store | None, settings: Settings, trusted: bool
) -> FoundModel:
    """Return the model that a source names, after checking that its files exist.

    `task`: the task whose networks will use the weights; None if it is unknown. `trusted`: files may be anywhere.
    `store`: None if jobs cannot be looked up. Raises InvalidInput, pointers `/job`, `/trial`, `/file`, `/timm` and
    `/sha256`.
    """
    if source.file is not None:
        path, key = _file(source.file, trusted=trusted, settings=settings), "file"
    elif source.timm is not None:
        path, key = _published(source.timm, task), "timm"
    else:
        return _of_trial(source, store, settings)
    roots = settings.data_roots if source.file is not None and not trusted else None
    try:
        with files.open_confined(path, roots) as file:
            sha256 = sha256_of(file)
    except OSError as error:
        raise InvalidInput.at(f"/{key}", f"{path} cannot be read: {error.strerror or error}") from None
    name = str(path) if key == "file" else source.timm
    return _pinned(source, ModelSource.model_validate({key: name, "sha256": sha256}), path)


def _file(path: str, *, trusted: bool, settings: Settings) -> Path:
    try:
        return located_path(path, trusted=trusted, settings=settings)
    except ValueError as error:
        raise InvalidInput.at("/file", str(error)) from None


def _published(name: str, task: Task | None) -> Path:
    if not isinstance(task, PretrainedTask):
        raise InvalidInput.at("/timm", "the task has no published weights: name a job, a trial or a file")
    with below("/timm"), task_call(task.name, "published"):
        return task.published(name)


def _of_trial(source: ModelSource, store: Store | None, settings: Settings) -> FoundModel:
    key = "job" if source.job is not None else "trial"
    if store is None:
        raise InvalidInput.at(f"/{key}", "jobs cannot be looked up here: name a file")
    try:
        job, trial = _chosen(source, store)
        trained = Source(store, settings.artifacts_dir, job, trial)
        path, sha256 = weights.checked(trained, trained.single_trial())
    except (NotFound, Conflict) as error:
        raise InvalidInput.at(f"/{key}", str(error)) from None
    return _pinned(source, ModelSource(trial=trial.id, sha256=sha256), path)


def _chosen(source: ModelSource, store: Store) -> tuple[Job, Trial]:
    """Return the job and the trial that a source names. Raises NotFound, and Conflict if the trial is not finished."""
    if source.job is not None:
        job = references.find_job(store, source.job)
        return job, standing.the_best(store, job)
    trial = references.find_trial(store, source.trial or "")
    job = store.job(trial.job_id)
    if not trial.state.has_result:
        raise Conflict(f"trial {trial.number} of job {job.name} is {trial.state}: name a finished trial")
    return job, trial


def _pinned(requested: ModelSource, pinned: ModelSource, path: Path) -> FoundModel:
    assert pinned.sha256 is not None
    if requested.sha256 not in (None, pinned.sha256):
        message = f"{path} is not the file that was chosen: its SHA-256 is {pinned.sha256}"
        raise InvalidInput.at("/sha256", f"{message}; put the old file back, or leave the digest out")
    return FoundModel(pinned, WeightsFile(str(path), pinned.sha256))

"""Trained networks named in a spec, and the files with their weights.

The one resolver of `searchsvc.domain.ModelSource`. What it finds is pinned, so that the same weights are found again by
a driver that starts later, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchsvc.checksums import sha256_of
from searchsvc.domain import Job, ModelSource, PretrainedTask, Task, Trial, WeightsFile
from searchsvc.errors import Conflict, InvalidInput, NotFound, below
from searchsvc.service.exports import weights
from searchsvc.service.exports.source import Source
from searchsvc.service.lookup import references
from searchsvc.service.lookup.datasets import located_path
from searchsvc.service.results import standing
from searchsvc.settings import Settings
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A trained network that is there."""

    source: ModelSource
    """Pinned."""
    weights: WeightsFile


def find(
    source: ModelSource, *, task: Task | None, store: Store | None, settings: Settings, trusted: bool
) -> FoundModel:
    """The model that a source names, once all of it is known to be there.

    `task`: whose networks are to take the weights; None where it is unknown. `trusted`: files may lie anywhere.
    `store`: None where jobs cannot be looked up. Raises InvalidInput, pointers `/job`, `/trial`, `/file`, `/timm` and
    `/sha256`.
    """
    if source.file is not None:
        path, key = _file(source.file, trusted=trusted, settings=settings), "file"
    elif source.timm is not None:
        path, key = _published(source.timm, task), "timm"
    else:
        return _of_trial(source, store, settings)
    try:
        sha256 = sha256_of(path)
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
        raise InvalidInput.at("/timm", "the task knows no published weights: name a job, a trial or a file")
    with below("/timm"):
        return task.published(name)


def _of_trial(source: ModelSource, store: Store | None, settings: Settings) -> FoundModel:
    key = "job" if source.job is not None else "trial"
    if store is None:
        raise InvalidInput.at(f"/{key}", "no jobs are kept here: name a file")
    try:
        job, trial = _chosen(source, store)
        trained = Source(store, settings.artifacts_dir, job, trial)
        weights.check(trained, trained.one_trial())
        path, sha256 = weights.stored(trained, trial)
    except (NotFound, Conflict) as error:
        raise InvalidInput.at(f"/{key}", str(error)) from None
    return _pinned(source, ModelSource(trial=trial.id, sha256=sha256), path)


def _chosen(source: ModelSource, store: Store) -> tuple[Job, Trial]:
    """Raises NotFound, and Conflict where no finished trial is meant."""
    if source.job is not None:
        job = references.find_job(store, source.job)
        return job, standing.the_best(store, job)
    trial = references.find_trial(store, source.trial or "")
    job = store.job(trial.job_id)
    if not trial.state.has_result:
        raise Conflict(f"trial {trial.number} of job {job.name} is {trial.state}: name one that has succeeded")
    return job, trial


def _pinned(wanted: ModelSource, found: ModelSource, path: Path) -> FoundModel:
    assert found.sha256 is not None
    if wanted.sha256 not in (None, found.sha256):
        message = f"{path} is not the file that was chosen: its SHA-256 is {found.sha256}"
        raise InvalidInput.at("/sha256", f"{message}; put the old one back, or leave the digest out")
    return FoundModel(found, WeightsFile(str(path), found.sha256))

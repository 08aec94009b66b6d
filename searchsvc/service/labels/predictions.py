"""The predictions that the finished trials of a job have stored for the validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from searchsvc import tasks
from searchsvc.domain import Artifact, Job, LabelledTask, Trial, ValidationSplit
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.labels import Predictions
from searchsvc.labels.predictions import FILE
from searchsvc.service.exports import artifacts
from searchsvc.service.lookup.pins import differences, pins_of
from searchsvc.store import Store

T = TypeVar("T")


def has_labels(job: Job) -> bool:
    """Return whether each image of the job's task has a class; False if the task is not installed."""
    return job.spec.task in tasks.names() and isinstance(tasks.find(job.spec.task), LabelledTask)


def labelled_task(job: Job) -> LabelledTask:
    """Return the job's task. Raises Conflict if its images do not have a single class each."""
    task = tasks.find(job.spec.task)
    if not isinstance(task, LabelledTask):
        raise Conflict(f"job {job.name} is of the task {task.name}, whose images do not have a single class each")
    return task


def check_unchanged(job: Job) -> None:
    """Raise Conflict if the data have changed since the trials were measured: predictions are by position."""
    if changes := differences(job.data_pins or {}, pins_of(job.spec), job.spec):
        raise Conflict(f"{' and '.join(changes)} since the trials of job {job.name} were measured")


def validation_of(job: Job) -> ValidationSplit:
    """Read the images on which the trials were measured. Raises Conflict if the dataset can no longer be read."""
    return _read_from(job, lambda task, dataset: task.validation(dataset))


def picture(job: Job, image: int) -> bytes:
    """Render a validation image as PNG. Raises NotFound, and Conflict if the dataset can no longer be read."""
    return _read_from(job, lambda task, dataset: task.picture(dataset, image))


def _read_from(job: Job, read: Callable[[LabelledTask, Mapping[str, Any]], T]) -> T:
    task = labelled_task(job)
    try:
        return read(task, job.spec.dataset.model_dump(mode="json"))
    except InvalidInput as error:
        raise Conflict(f"the dataset of job {job.name} cannot be read any more: {error}") from None


def with_predictions(store: Store, artifacts_dir: Path, job: Job) -> list[tuple[Trial, Artifact]]:
    """Return the finished trials with stored predictions and the records of these, by number, with two statements.

    Raises Conflict if no trial has stored its predictions.
    """
    records = {artifact.trial_id: artifact for artifact in store.job_artifacts(job.id) if artifact.name == FILE}
    trials = [
        (trial, records[trial.id])
        for trial in store.all_trials(job.id)
        if trial.state.has_result and trial.id in records and _is_readable(artifacts_dir, records[trial.id])
    ]
    if not trials:
        raise Conflict(f"no finished trial of job {job.name} has stored its predictions")
    return trials


def read(
    artifacts_dir: Path, trials: Sequence[tuple[Trial, Artifact]], images: ValidationSplit
) -> Iterator[Predictions]:
    """Yield the predictions of each trial. Raises Conflict if the images of the dataset have changed since."""
    for trial, artifact in trials:
        with artifacts.opened(artifacts_dir, artifact) as file:
            predictions = Predictions.read(file)
        if not np.array_equal(predictions.labels, images.labels):
            raise Conflict(f"the dataset has changed since trial {trial.number} was trained: its images differ now")
        yield predictions


def _is_readable(artifacts_dir: Path, artifact: Artifact) -> bool:
    try:
        artifacts.opened(artifacts_dir, artifact).close()
    except NotFound:
        return False
    return True

"""What the finished trials of a job say of the validation images, as they have left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from searchsvc import tasks
from searchsvc.domain import Job, LabelledTask, Trial, ValidationSplit
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.labels import Predictions
from searchsvc.labels.predictions import FILE
from searchsvc.store import Store

T = TypeVar("T")


def has_labels(job: Job) -> bool:
    """Whether its images have a class each; of a task that is not installed here, nothing is known."""
    return job.spec.task in tasks.names() and isinstance(tasks.find(job.spec.task), LabelledTask)


def labelled_task(job: Job) -> LabelledTask:
    """Raises Conflict where the job's task has no images with a class each."""
    task = tasks.find(job.spec.task)
    if not isinstance(task, LabelledTask):
        raise Conflict(f"job {job.name} is of the task {task.name}, whose images have no class each to be doubted")
    return task


def validation_of(job: Job) -> ValidationSplit:
    """The images that its trials were measured on. Raises Conflict where the dataset cannot be read any more."""
    return _read_from(job, lambda task, dataset: task.validation(dataset))


def picture(job: Job, image: int) -> bytes:
    """A validation image as PNG. Raises NotFound, and Conflict where the dataset cannot be read any more."""
    return _read_from(job, lambda task, dataset: task.picture(dataset, image))


def _read_from(job: Job, read: Callable[[LabelledTask, Mapping[str, Any]], T]) -> T:
    task = labelled_task(job)
    try:
        return read(task, job.spec.dataset.model_dump(mode="json"))
    except InvalidInput as error:
        raise Conflict(f"the dataset of job {job.name} cannot be read any more: {error}") from None


def with_predictions(store: Store, artifacts_dir: Path, job: Job) -> list[tuple[Trial, Path]]:
    """Finished trials that have left predictions, by number: two statements, whatever the number of trials.

    Raises Conflict where there is none.
    """
    paths = {one.trial_id: artifacts_dir / one.path for one in store.job_artifacts(job.id) if one.name == FILE}
    found = [
        (trial, paths[trial.id])
        for trial in store.all_trials(job.id)
        if trial.state.has_result and trial.id in paths and paths[trial.id].is_file()
    ]
    if not found:
        raise Conflict(f"no finished trial of job {job.name} has left its predictions")
    return found


def read(trials: Sequence[tuple[Trial, Path]], images: ValidationSplit) -> Iterator[Predictions]:
    """Of each trial. Raises Conflict where they are of other images than those that the dataset has now."""
    for trial, path in trials:
        found = Predictions.read(path)
        if not np.array_equal(found.labels, images.labels):
            raise Conflict(f"the dataset has changed since trial {trial.number} was trained: its images are others now")
        yield found

"""The stages of a self-trained trial, one after the other. Each resumes after a kill.

A teacher, or a student that becomes a teacher, is trained as a trial in its own directory. When it is complete, a file
records that, and its checkpoint is deleted. Its seconds, and those of labelling, count for the student.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeAlias, TypeVar

import torch

from searchsvc.checksums import sha256_of
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.trial_task import SelfTraining, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.spaces.recipe import SELF_TRAINING
from workers.training import trial
from workers.training.self_training.summary import Summary, TeacherLabels
from workers.trials.checkpoint_file import CHECKPOINT
from workers.trials.files import MODEL, write_atomically

_COMPLETE = "complete.json"
SplitT = TypeVar("SplitT", covariant=True)


@dataclass(frozen=True, slots=True)
class PseudoLabelledSplit(Generic[SplitT]):
    """Pseudo-labelled images for the student of a round."""

    split: SplitT
    metrics: Mapping[str, float]
    """Metrics of the labels, the same in every epoch."""


class Labeller(Protocol[SplitT]):
    """Creates and reads the pseudo labels of a task."""

    def label(self, task: TrialTask, teacher: Path) -> TeacherLabels:
        """Return the teacher's labels of the unlabelled images, without augmentation.

        Raises TrialFailed if the threshold rejects everything; InvalidInput if the file is not a teacher of these
        classes, or the images cannot be read.
        """

    def read(self, task: TrialTask, file: Path) -> SplitT:
        """Return the images that have a pseudo label in a file of `label`, with these labels."""


Check: TypeAlias = Callable[[], None]
MakeTraining: TypeAlias = Callable[[TrialTask, Check, PseudoLabelledSplit[SplitT] | None], trial.Training]
"""Creates a training from a task, a function to call every few steps, and pseudo-labelled images."""


@dataclass(frozen=True, slots=True)
class _Teacher:
    model: Path
    seconds: float
    """Seconds of the trial until the teacher was complete."""


def is_self_trained(task: TrialTask) -> bool:
    """True if the values of a trial choose self-training."""
    return bool(task.values.get(SELF_TRAINING, False))


def run(
    task: TrialTask,
    device: torch.device,
    make: MakeTraining[SplitT],
    labeller: Labeller[SplitT],
    clock: Callable[[], float],
) -> Iterator[Measurement]:
    """Yield the measurements of the last student; see `Task.train`. Raises TrialFailed, InvalidInput."""
    plan = task.self_training
    if plan is None:
        raise InvalidInput.at(
            "/self_training", f"{SELF_TRAINING} is true, but nothing says which images have no labels"
        )
    teacher = _given(plan) or _complete(_teacher_of(task, plan), device, make, None, clock, 0.0)
    for number in range(1, plan.rounds + 1):
        is_last = number == plan.rounds
        stage = task if is_last else _stage(task, f"round-{number}")
        pseudo, seconds = _labelled(stage, number, teacher, labeller, clock)
        if is_last:
            yield from trial.run(stage, device, _maker(stage, make, pseudo), clock, seconds)
        else:
            teacher = _complete(stage, device, make, pseudo, clock, seconds)


def _given(plan: SelfTraining) -> _Teacher | None:
    """Return the trained teacher of the plan, if it has one.

    Raises InvalidInput if its weights are not those that were chosen.
    """
    if plan.teacher is None:
        return None
    path = Path(plan.teacher.path)
    if not path.is_file() or sha256_of(path) != plan.teacher.sha256:
        message = f"{path} is not there any more, or not the file that was chosen when the job was made"
        raise InvalidInput.at("/self_training/teacher", message)
    return _Teacher(path, 0.0)


def _teacher_of(task: TrialTask, plan: SelfTraining) -> TrialTask:
    """Return the task of the teacher: the same candidate, trained on the labelled images alone."""
    epochs = plan.teacher_epochs or task.fidelity.epochs
    stage = _stage(task, "teacher")
    values = {**task.values, SELF_TRAINING: False}
    return replace(
        stage, values=values, self_training=None, fidelity=task.fidelity.model_copy(update={"epochs": epochs})
    )


def _stage(task: TrialTask, name: str) -> TrialTask:
    return replace(task, directory=str(Path(task.directory) / name), stored_step=0)


def _maker(
    stage: TrialTask, make: MakeTraining[SplitT], pseudo: PseudoLabelledSplit[SplitT] | None
) -> Callable[[Check], trial.Training]:
    return lambda check: make(stage, check, pseudo)


def _complete(
    stage: TrialTask,
    device: torch.device,
    make: MakeTraining[SplitT],
    pseudo: PseudoLabelledSplit[SplitT] | None,
    clock: Callable[[], float],
    earlier: float,
) -> _Teacher:
    """Train a teacher to the end, unless an earlier attempt has."""
    directory, fingerprint = Path(stage.directory), trial.fingerprint(stage)
    seconds = _seconds(directory, fingerprint)
    if seconds is None:
        *_, last = trial.run(stage, device, _maker(stage, make, pseudo), clock, earlier)
        seconds = last.seconds
        record = {"trial": fingerprint, "seconds": seconds, "sha256": sha256_of(directory / MODEL)}
        write_atomically(directory / _COMPLETE, json.dumps(record).encode())
    (directory / CHECKPOINT).unlink(missing_ok=True)
    return _Teacher(directory / MODEL, seconds)


def _seconds(directory: Path, fingerprint: str) -> float | None:
    """Return the seconds that a complete stage took, or None if it is not complete or its weights are damaged."""
    try:
        record = json.loads((directory / _COMPLETE).read_bytes())
        sha256 = sha256_of(directory / MODEL)
    except FileNotFoundError:
        return None
    expected = record.get("sha256", sha256)  # an earlier version stored no digest
    return float(record["seconds"]) if (record["trial"], expected) == (fingerprint, sha256) else None


def _labelled(
    stage: TrialTask, number: int, teacher: _Teacher, labeller: Labeller[SplitT], clock: Callable[[], float]
) -> tuple[PseudoLabelledSplit[SplitT], float]:
    """Return pseudo labels, created in this or an earlier attempt, and the trial's seconds until they existed."""
    directory, start, weights = Path(stage.directory), clock(), sha256_of(teacher.model)
    made_for = trial.fingerprint(stage, teacher=weights, round=number)
    summary = Summary.read(directory, made_for)
    if summary is None:
        directory.mkdir(parents=True, exist_ok=True)
        labelled = labeller.label(stage, teacher.model)
        summary = Summary.write(
            directory,
            labelled,
            made_for=made_for,
            number=number,
            teacher=weights,
            seconds=clock() - start,
        )
    pseudo = PseudoLabelledSplit(labeller.read(stage, directory / summary.file), summary.metrics)
    return pseudo, teacher.seconds + summary.seconds

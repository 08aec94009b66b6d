"""The stages of a self-trained trial, one after the other, each gone on from where a kill has ended it.

A teacher, and a student that becomes one, is trained as a trial in a directory of its own; once it is complete a file
says so, and its checkpoint goes. Its seconds, and those of labelling, are the first of the student's.
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
from workers.training import checkpoint, trial
from workers.training.self_training.summary import Labelled, Summary
from workers.trials.files import MODEL

_COMPLETE = "complete.json"
SplitT = TypeVar("SplitT", covariant=True)


@dataclass(frozen=True, slots=True)
class Pseudo(Generic[SplitT]):
    """Images with pseudo labels, for the student of a round."""

    split: SplitT
    metrics: Mapping[str, float]
    """What is measured of the labels, the same in every epoch."""


class Labeller(Protocol[SplitT]):
    """What a task says of pseudo labels."""

    def label(self, task: TrialTask, teacher: Path) -> Labelled:
        """What the teacher says of the images without labels, as they are.

        Raises TrialFailed where the threshold keeps nothing; InvalidInput where it is no teacher of these classes, or
        the images cannot be read.
        """

    def kept(self, task: TrialTask, file: Path) -> SplitT:
        """The images that have a pseudo label in a file that was made of `label`, with it."""


Check: TypeAlias = Callable[[], None]
MakeTraining: TypeAlias = Callable[[TrialTask, Check, Pseudo[SplitT] | None], trial.Training]
"""Of a task, what is called every few steps, and what it learns from besides its labelled images."""


@dataclass(frozen=True, slots=True)
class _Teacher:
    model: Path
    seconds: float
    """Of the trial, until it was there."""


def is_self_trained(task: TrialTask) -> bool:
    """Whether the values of a trial say so."""
    return bool(task.values.get(SELF_TRAINING, False))


def run(
    task: TrialTask,
    device: torch.device,
    make: MakeTraining[SplitT],
    labeller: Labeller[SplitT],
    clock: Callable[[], float],
) -> Iterator[Measurement]:
    """See `Task.train`: the measurements of the last student. Raises TrialFailed, InvalidInput."""
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
    """Raises InvalidInput where its weights are not those that were chosen."""
    if plan.teacher is None:
        return None
    path = Path(plan.teacher.path)
    if not path.is_file() or sha256_of(path) != plan.teacher.sha256:
        message = f"{path} is not there any more, or not the file that was chosen when the job was made"
        raise InvalidInput.at("/self_training/teacher", message)
    return _Teacher(path, 0.0)


def _teacher_of(task: TrialTask, plan: SelfTraining) -> TrialTask:
    """The same candidate, trained on the labelled images alone."""
    epochs = plan.teacher_epochs or task.fidelity.epochs
    stage = _stage(task, "teacher")
    values = {**task.values, SELF_TRAINING: False}
    return replace(
        stage, values=values, self_training=None, fidelity=task.fidelity.model_copy(update={"epochs": epochs})
    )


def _stage(task: TrialTask, name: str) -> TrialTask:
    return replace(task, directory=str(Path(task.directory) / name), stored_step=0)


def _maker(
    stage: TrialTask, make: MakeTraining[SplitT], pseudo: Pseudo[SplitT] | None
) -> Callable[[Check], trial.Training]:
    return lambda check: make(stage, check, pseudo)


def _complete(
    stage: TrialTask,
    device: torch.device,
    make: MakeTraining[SplitT],
    pseudo: Pseudo[SplitT] | None,
    clock: Callable[[], float],
    earlier: float,
) -> _Teacher:
    """Trained to the end, in this attempt or an earlier one."""
    directory, fingerprint = Path(stage.directory), trial.fingerprint(stage)
    seconds = _seconds(directory, fingerprint)
    if seconds is None:
        *_, last = trial.run(stage, device, _maker(stage, make, pseudo), clock, earlier)
        seconds = last.seconds
        content = json.dumps({"trial": fingerprint, "seconds": seconds}).encode()
        checkpoint.write_atomically(directory / _COMPLETE, content)
    (directory / checkpoint.LAST).unlink(missing_ok=True)
    return _Teacher(directory / MODEL, seconds)


def _seconds(directory: Path, fingerprint: str) -> float | None:
    """That a complete stage took; None where it is not complete."""
    try:
        known = json.loads((directory / _COMPLETE).read_bytes())
    except FileNotFoundError:
        return None
    whole = known["trial"] == fingerprint and (directory / MODEL).is_file()
    return float(known["seconds"]) if whole else None


def _labelled(
    stage: TrialTask, number: int, teacher: _Teacher, labeller: Labeller[SplitT], clock: Callable[[], float]
) -> tuple[Pseudo[SplitT], float]:
    """Pseudo labels, made in this attempt or an earlier one, and the seconds of the trial until they were there."""
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
    pseudo = Pseudo(labeller.kept(stage, directory / summary.file), summary.metrics)
    return pseudo, teacher.seconds + summary.seconds

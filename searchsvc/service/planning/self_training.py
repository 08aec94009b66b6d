"""Self-training in a spec: the task `self_training`, and whether what its section asks for can be had.

A job of the task `self_training` is one of the task that it is around, whose trials are self-trained unless the space
leaves them the choice. It is resolved and stored as that, so that nothing else knows the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from searchsvc import tasks
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import JobSpec, ModelSource, Scalar, SelfTrainedTask, SelfTraining, Task
from searchsvc.domain.spec import InlineSpace, NamedSpace, SelfTrainingSpec
from searchsvc.errors import InvalidInput
from searchsvc.service.exports import models
from searchsvc.service.lookup import checks, datasets
from searchsvc.service.lookup.checks import Faults
from searchsvc.settings import Settings
from searchsvc.spaces import Space, catalogue
from searchsvc.spaces.recipe import DATA_FRACTION, SELF_TRAINING
from searchsvc.spaces.sharing import values_of
from searchsvc.store import Store

TASK = "self_training"
_SECTION = "/self_training"


@dataclass(frozen=True, slots=True)
class Found:
    """A section whose files are there."""

    section: SelfTrainingSpec
    """With its path absolute and its teacher pinned."""
    how: SelfTraining


def names_around() -> list[str]:
    """Of the tasks that the task `self_training` can be around."""
    return [one.name for one in tasks.all_tasks() if isinstance(one, SelfTrainedTask)]


def unfolded(spec: JobSpec) -> JobSpec:
    """The same job as one of the task that self-training is around. Raises InvalidInput where it is around none."""
    section = spec.self_training
    if spec.task != TASK:
        if section is not None and section.around not in (None, spec.task):
            message = f"the task is {spec.task}: leave it out, or make the task {TASK}"
            raise InvalidInput.at(f"{_SECTION}/around", message)
        return spec
    able = ", ".join(names_around())
    if section is None:
        raise InvalidInput.at(_SECTION, f"the task {TASK} needs it: {{around: TASK}}, where TASK is one of {able}")
    if section.around is None or section.around not in tasks.names():
        raise InvalidInput.at(f"{_SECTION}/around", f"names the task of the trials: one of {able}")
    space = spec.space
    if SELF_TRAINING not in {*_names(space), *space.fix}:
        space = space.model_copy(update={"fix": {**space.fix, SELF_TRAINING: True}})
    plain = section.model_copy(update={"around": None})
    return spec.model_copy(update={"task": section.around, "space": space, "self_training": plain})


def find(
    spec: JobSpec, task: Task, space: Space, *, store: Store | None, settings: Settings, trusted: bool
) -> Found | None:
    """What the section of an unfolded spec names; None where there is no section, and none is needed.

    Raises InvalidInput, pointers into the spec.
    """
    section, constants = spec.self_training, checks.constants_of(spec)
    wanted = True in values_of(space, SELF_TRAINING, constants.get(SELF_TRAINING, False))
    if section is None:
        if wanted:
            message = f"is missing: trials may have {SELF_TRAINING}: true, and it says which images have no labels"
            raise InvalidInput.at(_SECTION, f"{message}; {{unlabelled: rest}} takes those beyond the data fraction")
        return None
    algorithm = ALGORITHMS.get(spec.algorithm.name)
    if algorithm is not None and algorithm.shares_weights:
        message = f"{algorithm.name} trains a supernet, which learns from labels alone: leave it out"
        raise InvalidInput.at(_SECTION, f"{message}, or use an algorithm that trains each candidate by itself")
    if not isinstance(task, SelfTrainedTask):
        raise InvalidInput.at(_SECTION, f"trials of the task {task.name} cannot be self-trained: leave it out")
    if not wanted:
        message = f"no trial would be self-trained: put {SELF_TRAINING} into the space, or fix it to true"
        raise InvalidInput.at(_SECTION, message)
    largest = spec.fidelity.data_fraction * max(_shares(space, constants))
    return checks.below(_SECTION, lambda: _found(section, spec, task, largest, store, settings, trusted=trusted))


def _shares(space: Space, constants: Mapping[str, Scalar]) -> list[float]:
    """Data fractions, within those of the fidelity, that a self-trained trial can have."""
    taught = space.fix({SELF_TRAINING: True}) if SELF_TRAINING in space else space
    shares = values_of(taught, DATA_FRACTION, constants.get(DATA_FRACTION, 1.0))
    able = taught[SELF_TRAINING].when.get(DATA_FRACTION, shares) if SELF_TRAINING in taught else shares
    return [float(one) for one in shares if one in able]


def _names(space: NamedSpace | InlineSpace) -> tuple[str, ...]:
    if isinstance(space, InlineSpace):
        return tuple(one.name for one in space.parameters)
    shipped = catalogue.SPACES.get(space.name)
    return shipped.space.names if shipped else ()


def _found(
    section: SelfTrainingSpec,
    spec: JobSpec,
    task: SelfTrainedTask,
    data_fraction: float,
    store: Store | None,
    settings: Settings,
    *,
    trusted: bool,
) -> Found:
    faults, images, source = Faults(), section.unlabelled, section.teacher
    located = None
    if not isinstance(images, str):
        files = images
        located = faults.collect(
            lambda: checks.below(
                "/unlabelled", lambda: datasets.located_section(files, trusted=trusted, settings=settings)
            )
        )
    model = faults.collect(lambda: _teacher(source, store, settings, trusted=trusted)) if source else None
    faults.raise_any()
    how = SelfTraining(
        unlabelled=located.model_dump(mode="json") if located else None,
        teacher=model.weights if model else None,
        rounds=section.rounds,
        teacher_epochs=section.teacher_epochs,
    )
    task.check_self_training(how, spec.dataset.model_dump(mode="json"), data_fraction)
    pinned = {"unlabelled": located or images, "teacher": model.source if model else None}
    return Found(section.model_copy(update=pinned), how)


def _teacher(source: ModelSource, store: Store | None, settings: Settings, *, trusted: bool) -> models.FoundModel:
    if source.timm is not None:
        raise InvalidInput.at("/teacher/timm", "a teacher is a model that a trial has left: name a job, trial or file")
    return checks.below(
        "/teacher", lambda: models.find(source, task=None, store=store, settings=settings, trusted=trusted)
    )

"""Self-training in a spec: the task `self_training`, and the files and the teacher that its section names.

A job of the task `self_training` wraps another task, whose trials are self-trained unless the space leaves them the
choice. The job is resolved and stored as a job of the wrapped task, so that no other module deals with the name.
"""

from __future__ import annotations

from collections.abc import Mapping

from searchsvc import tasks
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import JobSpec, ModelSource, Scalar, SelfTrainedTask, SelfTraining
from searchsvc.domain.spec import InlineSpace, NamedSpace, SelfTrainingSpec
from searchsvc.errors import FaultCollector, InvalidInput, below
from searchsvc.service.exports.models import FoundModel
from searchsvc.service.lookup.task_calls import task_call
from searchsvc.service.planning.names import ResolvedNames
from searchsvc.service.planning.sources import Sources
from searchsvc.spaces import Space, catalogue
from searchsvc.spaces.recipe import DATA_FRACTION, SELF_TRAINING
from searchsvc.spaces.sharing import values_of

TASK = "self_training"
_SECTION = "/self_training"


def names_around() -> list[str]:
    """Return the names of the tasks that the task `self_training` can wrap."""
    return [task.name for task in tasks.all_tasks() if isinstance(task, SelfTrainedTask)]


def unfolded(spec: JobSpec) -> JobSpec:
    """Turn a job of the task `self_training` into a job of the wrapped task. Raises InvalidInput if it names none."""
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


def with_pinned_section(spec: JobSpec, names: ResolvedNames, sources: Sources) -> tuple[JobSpec, SelfTraining | None]:
    """Find the files and the teacher that the section of an unfolded spec names.

    Return the spec with absolute paths and the teacher pinned, and the self-training of its trials; None if the spec
    has no section and needs none. Raises InvalidInput, pointers into the spec.
    """
    task, space, section = names.task, names.space, spec.self_training
    needed = True in values_of(space, SELF_TRAINING, names.constants.get(SELF_TRAINING, False))
    if section is None:
        if needed:
            message = f"is missing: trials may have {SELF_TRAINING}: true, and it names the images without labels"
            hint = "{unlabelled: rest} takes the images beyond the data fraction"
            raise InvalidInput.at(_SECTION, f"{message}; {hint}")
        return spec, None
    algorithm = ALGORITHMS.get(spec.algorithm.name)
    if algorithm is not None and algorithm.shares_weights:
        message = f"{algorithm.name} trains a supernet, which learns from labels alone: leave it out"
        raise InvalidInput.at(_SECTION, f"{message}, or use an algorithm that trains each candidate by itself")
    if not isinstance(task, SelfTrainedTask):
        raise InvalidInput.at(_SECTION, f"trials of the task {task.name} cannot be self-trained: leave it out")
    if not needed:
        message = f"no trial would be self-trained: put {SELF_TRAINING} into the space, or fix it to true"
        raise InvalidInput.at(_SECTION, message)
    largest = spec.fidelity.data_fraction * max(_data_fractions(space, names.constants), default=1.0)
    with below(_SECTION):
        pinned, how = _pinned(section, sources)
        with task_call(task.name, "check_self_training"):
            task.check_self_training(how, spec.dataset.model_dump(mode="json"), largest)
    return spec.model_copy(update={"self_training": pinned}), how


def _data_fractions(space: Space, constants: Mapping[str, Scalar]) -> list[float]:
    """Return the values of `data_fraction` that a self-trained trial can have."""
    self_trained = space.fix({SELF_TRAINING: True}) if SELF_TRAINING in space else space
    fractions = values_of(self_trained, DATA_FRACTION, constants.get(DATA_FRACTION, 1.0))
    allowed = fractions
    if SELF_TRAINING in self_trained:
        allowed = self_trained[SELF_TRAINING].when.get(DATA_FRACTION, fractions)
    return [float(fraction) for fraction in fractions if fraction in allowed and isinstance(fraction, int | float)]


def _names(space: NamedSpace | InlineSpace) -> tuple[str, ...]:
    if isinstance(space, InlineSpace):
        return tuple(parameter.name for parameter in space.parameters)
    shipped = catalogue.SPACES.get(space.name)
    return shipped.space.names if shipped else ()


def _pinned(section: SelfTrainingSpec, sources: Sources) -> tuple[SelfTrainingSpec, SelfTraining]:
    """Find the images without labels and the teacher. Raises InvalidInput with the faults of both."""
    faults, images, teacher = FaultCollector(), section.unlabelled, section.teacher
    files = model = None
    with faults.at("/unlabelled"):
        files = None if isinstance(images, str) else sources.located(images)
    with faults.at("/teacher"):
        model = None if teacher is None else _teacher(teacher, sources)
    faults.raise_any()
    how = SelfTraining(
        unlabelled=files.model_dump(mode="json") if files else None,
        teacher=model.weights if model else None,
        rounds=section.rounds,
        teacher_epochs=section.teacher_epochs,
    )
    pinned = {"unlabelled": files or images, "teacher": model.source if model else None}
    return section.model_copy(update=pinned), how


def _teacher(source: ModelSource, sources: Sources) -> FoundModel:
    if source.timm is not None:
        raise InvalidInput.at("/timm", "a teacher is a model that a trial has trained: name a job, trial or file")
    return sources.model(source, task=None)

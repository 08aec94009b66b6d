"""First stage of resolving a spec: the task and the space that its names refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from searchsvc.domain import JobSpec, Scalar, Task
from searchsvc.errors import FaultCollector
from searchsvc.service.lookup import checks
from searchsvc.spaces import Space


@dataclass(frozen=True, slots=True)
class ResolvedNames:
    """The task of a job and the space that it searches."""

    task: Task
    space: Space
    """The space with `fix` and `narrow` applied."""
    constants: Mapping[str, Scalar]
    """Values that all trials share, in addition to the values of their candidates."""


def find_task(spec: JobSpec, faults: FaultCollector) -> Task | None:
    """Look up the task; None after a fault."""
    with faults.at():
        return checks.task_of(spec)
    return None


def resolve_names(spec: JobSpec, task: Task | None, faults: FaultCollector) -> ResolvedNames | None:
    """Look up the space, which is checked even if the task is unknown; None after a fault."""
    constants = checks.constants_of(spec)
    with faults.at():
        space = checks.bound_space(spec, task, constants)
        return ResolvedNames(task, space, constants) if task is not None else None
    return None

"""From a spec to what will run: names looked up, the dataset looked at, the space bound to its costs.

`resolve` finds everything that the document alone cannot tell, all faults at once, each with the JSON pointer of its
place. The driver resolves the same spec again and builds the algorithm and the stopping rule from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from searchsvc.algorithms import Proposer, StoppingRule
from searchsvc.domain import Candidate, Constraint, DatasetInfo, JobSpec, Scalar, Task
from searchsvc.domain.spec import faults_of
from searchsvc.errors import InvalidInput
from searchsvc.service import tasks
from searchsvc.settings import Settings
from searchsvc.spaces import CostModel, Space

S = TypeVar("S", bound=BaseModel)
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A job spec with everything it names looked up."""

    spec: JobSpec
    task: Task
    dataset: DatasetInfo
    space: Space
    """With `fix` and `narrow` applied."""
    cost_model: CostModel | None
    hard: tuple[Constraint, ...]
    """Constraints that the cost model knows before a trial starts."""
    outcome: tuple[Constraint, ...]
    """Constraints on what is measured."""
    defaults: Mapping[str, Scalar]
    """The task's parameters that the space does not give, with the value that each has."""


@dataclass(frozen=True, slots=True)
class PlannedCandidate:
    """A candidate that would be among the first, with its costs."""

    candidate: Candidate
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job would run, found without training anything."""

    spec: JobSpec
    space_size: int | float
    """Different candidates; infinity where a parameter is continuous."""
    feasible_share: float
    """Share of random candidates that keep the hard constraints; 1 where there are none."""
    sampled: int
    """How many random candidates that share is of."""
    candidates: tuple[PlannedCandidate, ...]
    """The first that the algorithm would propose."""
    dataset: DatasetInfo
    hard: tuple[Constraint, ...]
    outcome: tuple[Constraint, ...]
    warnings: tuple[str, ...]


def resolve(spec: JobSpec, *, trusted: bool, settings: Settings) -> Blueprint:
    """Look up what the spec names. Raises InvalidInput. `trusted`: datasets may lie anywhere, not only in data roots."""
    raise NotImplementedError


def make_proposer(blueprint: Blueprint) -> Proposer:
    """The algorithm behind its hard constraints, at the very beginning of the job."""
    raise NotImplementedError


def make_stopping_rule(blueprint: Blueprint) -> StoppingRule:
    """The stopping rule at the very beginning of the job."""
    raise NotImplementedError


def plan(blueprint: Blueprint, *, candidates: int = 5) -> Plan:
    """What would run. Spends nothing: only the cost model is asked."""
    raise NotImplementedError


def parse_section(model: type[S], document: Mapping[str, Any]) -> S:
    """A part of a spec by itself. Raises InvalidInput with pointers into that part."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, document)) from None


def dataset_entries(entry: Callable[[str, str, str], E]) -> list[E]:
    """(task, name or format, description) of everything that the installed tasks can read."""
    return [entry(task.name, name, description) for task in tasks.all_tasks() for name, description in task.datasets()]

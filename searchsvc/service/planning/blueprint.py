"""A job spec with all its names resolved, and the objects that a driver builds from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from searchsvc import algorithms
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import (
    Constraint,
    DatasetInfo,
    JobSpec,
    Scalar,
    SelfTraining,
    SharedSearch,
    Task,
    WeightsFile,
)
from searchsvc.errors import below
from searchsvc.proposing.proposer import Proposer
from searchsvc.service.lookup import supernets
from searchsvc.service.planning import methods
from searchsvc.spaces import CostModel, Space, identity_for


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that is needed to run a job."""

    spec: JobSpec
    """The stored form of the spec: with absolute paths, pinned weights and tables, and its stopping rule named."""
    task: Task
    dataset: DatasetInfo
    space: Space
    """The space with `fix` and `narrow` applied."""
    cost_model: CostModel
    hard: tuple[Constraint, ...]
    """Constraints on costs, which are known before a trial starts."""
    outcome: tuple[Constraint, ...]
    """Constraints on measured metrics."""
    constants: Mapping[str, Scalar]
    """Values that all trials share, in addition to the values of their candidates."""
    pretrained: WeightsFile | None = None
    """Initial weights of trials with `init: pretrained`."""
    self_training: SelfTraining | None = None
    """Self-training of the trials."""


def make_proposer(blueprint: Blueprint) -> Proposer:
    """Build the algorithm behind its hard constraints, in its state before the first trial. Raises InvalidInput."""
    spec = blueprint.spec
    with below("/algorithm"):
        algorithm = algorithms.create(
            spec.algorithm.name,
            space=blueprint.space,
            objectives=spec.objectives,
            constraints=spec.constraints,
            cost_model=blueprint.cost_model,
            seed=spec.seed,
            **spec.algorithm.options,
        )
    return Proposer(
        algorithm,
        blueprint.space,
        cost_model=blueprint.cost_model,
        hard=blueprint.hard,
        identity=identity_for(spec.task, blueprint.space, blueprint.constants),
        repeats=spec.repeats,
    )


def make_stopping_rule(blueprint: Blueprint) -> StoppingRule:
    """Build the stopping rule in its state before the first trial. Raises InvalidInput."""
    return methods.stopping_rule(blueprint.spec)


def shared_search(blueprint: Blueprint) -> SharedSearch | None:
    """Return the search of the job's supernet; None if its algorithm trains each candidate by itself."""
    options = supernets.options_of(blueprint.spec)
    if options is None:
        return None
    return SharedSearch(blueprint.space.parameters, blueprint.hard, blueprint.cost_model, options)

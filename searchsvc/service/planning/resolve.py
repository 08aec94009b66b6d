"""From a spec to what will run: names looked up, the dataset looked at, the space bound to its costs.

`resolve` finds everything that the document alone cannot tell, all faults at once, each with the JSON pointer of its
place. The driver resolves the same spec again and builds the algorithm and the stopping rule from the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from searchsvc import algorithms
from searchsvc.algorithms import ALGORITHMS
from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.stopping.table import StoppingRule
from searchsvc.domain import (
    Candidate,
    Constraint,
    DatasetInfo,
    JobSpec,
    Scalar,
    SelfTraining,
    SharedSearch,
    Task,
    TrialKind,
    WeightsFile,
)
from searchsvc.domain.spec import NamedSpace, faults_of
from searchsvc.errors import InvalidInput, NothingFeasible
from searchsvc.proposing.proposer import Proposer
from searchsvc.service.exports import models
from searchsvc.service.lookup import checks, datasets, latency_tables, supernets
from searchsvc.service.lookup.checks import Faults
from searchsvc.service.planning import machine, pretraining, self_training
from searchsvc.service.planning import reachability as feasibility
from searchsvc.settings import Settings
from searchsvc.spaces import CostModel, Space, cost_model_for, identity_for, networks
from searchsvc.spaces.costs.latency import LATENCY
from searchsvc.spaces.costs.model import COUNTED
from searchsvc.spaces.resolution import RESOLUTION, shape_at
from searchsvc.store import Store

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A job spec with everything it names looked up."""

    spec: JobSpec
    """With paths made absolute, what it names pinned, its stopping rule named: this is the form that is stored."""
    task: Task
    dataset: DatasetInfo
    space: Space
    """With `fix` and `narrow` applied."""
    cost_model: CostModel
    hard: tuple[Constraint, ...]
    """Constraints that the cost model knows before a trial starts."""
    outcome: tuple[Constraint, ...]
    """Constraints on what is measured."""
    constants: Mapping[str, Scalar]
    """Values that every trial has besides those of its candidate."""
    pretrained: WeightsFile | None = None
    """What trials start from that do not start from random weights."""
    self_training: SelfTraining | None = None
    """What trials learn from besides that are self-trained."""


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
    """The first that the algorithm would propose; none where a supernet is to find them."""
    dataset: DatasetInfo
    hard: tuple[Constraint, ...]
    outcome: tuple[Constraint, ...]
    warnings: tuple[str, ...]


def resolve(spec: JobSpec, *, trusted: bool, settings: Settings, store: Store | None = None) -> Blueprint:
    """Look up what the spec names. Raises InvalidInput.

    `trusted`: files may lie anywhere. `store`: of the jobs whose networks it may name; None: it may name none.
    """
    faults = Faults()
    spec = self_training.unfolded(spec)
    task = faults.collect(lambda: checks.task_of(spec))
    space = faults.collect(lambda: checks.space_of(spec, task))
    found = faults.collect(lambda: datasets.located(spec, trusted=trusted, settings=settings))
    dataset = None
    if found is not None and task is not None:
        spec, known_task = found, task
        dataset = faults.collect(lambda: datasets.inspect(known_task, spec.dataset.model_dump(mode="json"), spec.seed))
    pretrained = None
    if (model := faults.collect(lambda: _pretrained(spec, task, store, settings, trusted=trusted))) is not None:
        spec, pretrained = spec.model_copy(update={"pretrained": model.source}), model.weights
    taught = None
    if task is not None and space is not None and dataset is not None:
        taught = faults.collect(
            lambda: self_training.find(spec, task, space, store=store, settings=settings, trusted=trusted)
        )
        spec = spec.model_copy(update={"self_training": taught.section}) if taught else spec
    if (options := faults.collect(lambda: _algorithm_options(spec))) is not None:
        spec = _with_stopping_rule(spec, options)
        faults.found += supernets.spec_faults(spec, task)
    faults.collect(lambda: _stopping_rule(spec))
    faults.found += supernets.worker_faults(spec)
    cost_model = None
    if task is not None and space is not None and dataset is not None:
        known_space, known_dataset = space, dataset
        cost_model = faults.collect(lambda: _cost_model(spec, known_space, known_dataset))
        timed = faults.collect(lambda: _latencies(spec, known_space, known_dataset, settings))
        if timed is not None:
            spec, cost_model = timed[0], cost_model and cost_model | timed[1]
    costs = cost_model.metrics if cost_model is not None else ()
    if task is not None:
        known = costs if dataset is not None and space is not None else COUNTED
        unmeasured = dataset.unmeasured if dataset is not None else {}
        faults.found += checks.metric_faults(spec, task, (*known, *_promised(spec)), unmeasured)
    if task is not None and space is not None:
        faults.found += pretraining.faults(spec, space, checks.constants_of(spec), task.default_parameters)
    faults.raise_any()
    assert task is not None
    assert space is not None
    assert dataset is not None
    assert cost_model is not None
    hard, outcome = cost_model.split(spec.constraints)
    blueprint = Blueprint(
        spec=spec,
        task=task,
        dataset=dataset,
        space=space,
        cost_model=cost_model,
        hard=hard,
        outcome=outcome,
        constants=checks.constants_of(spec),
        pretrained=pretrained,
        self_training=taught.how if taught else None,
    )
    make_proposer(blueprint)  # an algorithm may refuse the space or the objectives
    if (search := shared_search(blueprint)) is not None:
        supernets.check(spec, task, search, blueprint.constants, dataset)
    return blueprint


def check_reachable(blueprint: Blueprint) -> feasibility.Feasibility:
    """How much of the space keeps the hard constraints. Raises InvalidInput where nothing does."""
    if not blueprint.hard:
        return feasibility.Feasibility(1.0, 0, (), None)
    spec = blueprint.spec
    found = feasibility.examine(blueprint.space, blueprint.cost_model, spec.constraints, blueprint.hard, spec.seed)
    if found.faults:
        raise InvalidInput(found.faults).below("/constraints")
    return found


def make_proposer(blueprint: Blueprint) -> Proposer:
    """The algorithm behind its hard constraints, at the very beginning of the job. Raises InvalidInput."""
    spec = blueprint.spec
    algorithm = checks.below(
        "/algorithm",
        lambda: algorithms.create(
            spec.algorithm.name,
            space=blueprint.space,
            objectives=spec.objectives,
            constraints=spec.constraints,
            cost_model=blueprint.cost_model,
            seed=spec.seed,
            **spec.algorithm.options,
        ),
    )
    return Proposer(
        algorithm,
        blueprint.space,
        cost_model=blueprint.cost_model,
        hard=blueprint.hard,
        identity=identity_for(spec.task, blueprint.space, blueprint.constants),
        repeats=spec.repeats,
    )


def shared_search(blueprint: Blueprint) -> SharedSearch | None:
    """What the supernet of the job searches; None where its algorithm trains each candidate by itself."""
    options = supernets.options_of(blueprint.spec)
    if options is None:
        return None
    return SharedSearch(blueprint.space.parameters, blueprint.hard, blueprint.cost_model, options)


def make_stopping_rule(blueprint: Blueprint) -> StoppingRule:
    """The stopping rule at the very beginning of the job. Raises InvalidInput."""
    return _stopping_rule(blueprint.spec)


def plan(blueprint: Blueprint, *, candidates: int = 5) -> Plan:
    """What would run. Spends nothing: only the cost model is asked. Raises InvalidInput where nothing is feasible."""
    found = check_reachable(blueprint)
    known = blueprint.task.default_parameters
    warnings = [
        *machine.warnings(blueprint.spec),
        *pretraining.warnings(blueprint.spec, blueprint.space, blueprint.constants, known),
    ]
    if found.share == 0:
        warnings.append(
            f"fewer than 1 in {found.sampled:,} random candidates keep the hard constraints: finding them takes long"
        )
    try:
        budget = blueprint.spec.budget.trials
        proposals = make_proposer(blueprint).propose(min(candidates, budget), budget=budget)
    except NothingFeasible as error:
        proposals = []
        warnings.append(f"{blueprint.spec.algorithm.name} found nothing to begin with: {error}")
    size = blueprint.space.size()
    if size < blueprint.spec.budget.trials and not blueprint.spec.repeats:
        warnings.append(
            f"the space has {size:,} candidates, so the job ends before its {blueprint.spec.budget.trials:,} trials"
        )
    return Plan(
        spec=blueprint.spec,
        space_size=size,
        feasible_share=found.share,
        sampled=found.sampled,
        candidates=tuple(
            PlannedCandidate(one.candidate, one.costs) for one in proposals if one.kind is TrialKind.CANDIDATE
        ),
        dataset=blueprint.dataset,
        hard=blueprint.hard,
        outcome=blueprint.outcome,
        warnings=tuple(warnings),
    )


def parse_section(model: type[S], document: Mapping[str, Any]) -> S:
    """A part of a spec by itself. Raises InvalidInput with pointers into that part."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(faults_of(error, document)) from None


def _pretrained(
    spec: JobSpec, task: Task | None, store: Store | None, settings: Settings, *, trusted: bool
) -> models.FoundModel | None:
    if (source := spec.pretrained) is None:
        return None
    return checks.below(
        "/pretrained",
        lambda: models.find(source, task=task, store=store, settings=settings, trusted=trusted),
    )


def _algorithm_options(spec: JobSpec) -> MethodOptions:
    return checks.below("/algorithm", lambda: algorithms.validate_options(spec.algorithm.name, spec.algorithm.options))


def _with_stopping_rule(spec: JobSpec, options: MethodOptions) -> JobSpec:
    """The spec with the stopping rule that goes with its algorithm, where it names none."""
    if "stopping" in spec.model_fields_set:
        return spec
    return spec.model_copy(update={"stopping": ALGORITHMS[spec.algorithm.name].stopping(options)})


def _stopping_rule(spec: JobSpec) -> StoppingRule:
    rule, epochs = spec.stopping, spec.fidelity.epochs
    if isinstance(first := rule.options.get("min_epochs"), int) and first > epochs:
        message = f"the rule would never act: a trial has {epochs} epochs (fidelity.epochs), fewer than {first}"
        raise InvalidInput.at("/stopping/min_epochs", message)
    return checks.below(
        "/stopping",
        lambda: algorithms.create_stopping_rule(
            rule.name, objectives=spec.objectives, fidelity=spec.fidelity, **rule.options
        ),
    )


def _cost_model(spec: JobSpec, space: Space, dataset: DatasetInfo) -> CostModel:
    constants = checks.constants_of(spec)
    return checks.below("/space/parameters", lambda: cost_model_for(spec.task, space, dataset, constants))


def _latencies(
    spec: JobSpec, space: Space, dataset: DatasetInfo, settings: Settings
) -> tuple[JobSpec, CostModel] | None:
    """(spec that names the table with its digest, latencies of candidates); None where the spec names no table."""
    section = spec.space
    if not isinstance(section, NamedSpace) or section.latency is None:
        return None
    reference, constants = section.latency, checks.constants_of(spec)

    def looked_up() -> tuple[str, CostModel]:
        found, table = latency_tables.find(settings, reference)
        seen = shape_at(dataset.shape, constants.get(RESOLUTION, 0))
        if RESOLUTION in space:  # then the sides of the dataset's images say nothing
            seen = (seen[0], *table.shape[1:])
        table.check_fits(section.name, replace(dataset, shape=seen))
        return found, networks.latency_for(space, dataset, constants, table)

    found, model = checks.below("/space/latency", looked_up)
    return spec.model_copy(update={"space": section.model_copy(update={"latency": found})}), model


def _promised(spec: JobSpec) -> tuple[str, ...]:
    """The cost that a named table gives; when the table itself is at fault, that alone is to be told."""
    return (LATENCY,) if isinstance(spec.space, NamedSpace) and spec.space.latency else ()

"""A preview of a job: its space, the share of feasible candidates, and the first candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from searchsvc.domain import Candidate, Constraint, DatasetInfo, JobSpec, TrialKind
from searchsvc.errors import NothingFeasible
from searchsvc.service.planning import machine, pretraining
from searchsvc.service.planning.blueprint import Blueprint, make_proposer
from searchsvc.service.planning.reachability import Reachability, check_reachable


@dataclass(frozen=True, slots=True)
class PlannedCandidate:
    """A candidate that would be among the first proposals, with its costs."""

    candidate: Candidate
    costs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """A preview of a job, computed without training."""

    spec: JobSpec
    space_size: int | float
    """Number of different candidates; infinity if a parameter is continuous."""
    feasible_share: float
    """Share of random candidates that keep the hard constraints; 1 without hard constraints."""
    sampled: int
    """Number of random candidates from which the share was estimated."""
    candidates: tuple[PlannedCandidate, ...]
    """The first candidates that the algorithm would propose; empty if a supernet is trained to find them."""
    dataset: DatasetInfo
    hard: tuple[Constraint, ...]
    outcome: tuple[Constraint, ...]
    warnings: tuple[str, ...]


def plan(blueprint: Blueprint, *, candidates: int = 5) -> Plan:
    """Compute the plan from the cost model alone. Raises InvalidInput if no candidate is feasible."""
    reachability = check_reachable(blueprint)
    size = blueprint.space.size()
    proposed, problems = _first_candidates(blueprint, candidates)
    return Plan(
        spec=blueprint.spec,
        space_size=size,
        feasible_share=reachability.share,
        sampled=reachability.sampled,
        candidates=proposed,
        dataset=blueprint.dataset,
        hard=blueprint.hard,
        outcome=blueprint.outcome,
        warnings=(*_warnings(blueprint, reachability), *problems, *_size_warnings(blueprint, size)),
    )


def _first_candidates(blueprint: Blueprint, count: int) -> tuple[tuple[PlannedCandidate, ...], list[str]]:
    """Return the first candidates that the algorithm proposes, and a warning if it finds none."""
    spec, budget = blueprint.spec, blueprint.spec.budget.trials
    try:
        proposals = make_proposer(blueprint).propose(min(count, budget), budget=budget)
    except NothingFeasible as error:
        return (), [f"{spec.algorithm.name} found nothing to begin with: {error}"]
    proposed = [
        PlannedCandidate(proposal.candidate, proposal.costs)
        for proposal in proposals
        if proposal.kind is TrialKind.CANDIDATE
    ]
    return tuple(proposed), []


def _warnings(blueprint: Blueprint, reachability: Reachability) -> Iterator[str]:
    spec, defaults = blueprint.spec, blueprint.task.default_parameters
    yield from machine.warnings(spec)
    yield from pretraining.warnings(spec, blueprint.space, blueprint.constants, defaults)
    if reachability.share == 0:
        few = f"fewer than 1 in {reachability.sampled:,} random candidates keep the hard constraints"
        yield f"{few}: finding them takes a long time"


def _size_warnings(blueprint: Blueprint, size: int | float) -> Iterator[str]:
    trials = blueprint.spec.budget.trials
    if size < trials and not blueprint.spec.repeats:
        yield f"the space has {size:,} candidates, so the job ends before its {trials:,} trials"

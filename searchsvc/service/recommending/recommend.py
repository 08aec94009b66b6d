"""Recommend: the candidates that a finished search would choose within other limits, without training anything.

The second stage of FBNetV3 (arXiv 2006.02049): a predictor learns from the job's trials, whatever algorithm proposed
them, and an evolutionary search asks it instead of training. Nothing is kept: what is stored decides the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from searchsvc.domain import Candidate, Constraint, Job, Objective, Trial
from searchsvc.errors import Fault, InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.service.planning import reachability
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.service.recommending.training_data import Evidence, evidence
from searchsvc.spaces import CostModel, Identity, Matrix, Space, identity_for
from searchsvc.spaces.halves import Halves, halves
from searchsvc.store import Store

LARGEST_K = 20


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a candidate would reach, by the predictor."""

    mean: float
    deviation: float
    """Standard deviation: how far the truth may well be off."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A candidate worth training."""

    candidate: Candidate
    predicted: Mapping[str, Prediction]
    """Of each metric of an objective or limit that only training shows, after `Recommendations.epoch` epochs."""
    costs: Mapping[str, float]
    trial: Trial | None
    """The one that measured this candidate already, or another that is the same network, trained the same way."""

    @property
    def halves(self) -> Halves:
        return halves(self.candidate.values)


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Candidates, the best first."""

    job: Job
    constraints: tuple[Constraint, ...]
    """Limits on what is known before training: each candidate keeps them."""
    outcome: tuple[Constraint, ...]
    """Limits of the job on what only training shows: each candidate is predicted to keep them, as far as any is."""
    learned_from: int
    """Trials with a result that the predictor knows."""
    epoch: int
    """Predictions are of what is measured after so many epochs."""
    items: tuple[Recommendation, ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked of a predictor and the search that it guides."""

    known: Evidence
    space: Space
    cost_model: CostModel
    identity: Identity | None
    """What tells candidates apart; without it, their values do."""
    constraints: tuple[Constraint, ...]
    """On costs and on metrics that are predicted."""
    predicted: tuple[str, ...]
    """Metrics that only training shows."""
    example: Matrix
    """(1, d) a candidate that keeps the limits on costs, or none: (0, d)."""
    objectives: tuple[Objective, ...]
    k: int
    seed: int

    def keys(self, matrix: Matrix) -> list[bytes]:
        """Of each row of (n, d): equal for candidates that are the same."""
        return [row.tobytes() for row in (self.identity(matrix) if self.identity else matrix)]


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the space, with what it would reach."""

    row: Matrix
    """(d,)"""
    predicted: Mapping[str, Prediction]


Searcher: TypeAlias = Callable[[Inquiry], Sequence[Found]]


def recommend(
    store: Store, job: Job, blueprint: Blueprint, limits: Sequence[Constraint], k: int, search: Searcher
) -> Recommendations:
    """The k best candidates within `limits`, which take the place of the job's own on the same metrics.

    Raises InvalidInput (pointers `/k`, `/constraints/0`, ...) and Conflict where the job has too few results.
    """
    if not 1 <= k <= LARGEST_K:
        raise InvalidInput.at("/k", f"must lie from 1 to {LARGEST_K}, not {k}")
    force = _in_force(job, blueprint, limits)
    known = evidence(store, job, blueprint.space, force.predicted)
    inquiry = Inquiry(
        known=known,
        space=blueprint.space,
        cost_model=blueprint.cost_model,
        identity=identity_for(job.spec.task, blueprint.space, blueprint.constants),
        constraints=(*force.hard, *force.outcome),
        predicted=force.predicted,
        example=force.example,
        objectives=job.spec.objectives,
        k=k,
        seed=job.spec.seed,
    )
    items = tuple(_recommendations(inquiry, search(inquiry)))
    return Recommendations(job, force.hard, force.outcome, len(known.trials), known.epoch, items)


def spec_to_train(found: Recommendations) -> dict[str, Any]:
    """The spec of a job that trains what was recommended, and nothing else, to the whole fidelity."""
    return training_spec(
        found.job,
        [dict(one.candidate.values) for one in found.items],
        name="recommended",
        constraints=[one.model_dump(mode="json") for one in (*found.constraints, *found.outcome)],
    )


def training_spec(job: Job, candidates: Sequence[Mapping[str, Any]], *, name: str, **changes: Any) -> dict[str, Any]:
    """The spec of `job`, changed so that it trains these candidates and nothing else."""
    return {
        **job.spec.document(),
        "name": f"{job.name[: 127 - len(name)]}-{name}",
        "algorithm": {"name": "given", "candidates": [dict(one) for one in candidates]},
        "stopping": {"name": "none"},
        "budget": {"trials": len(candidates)},
        **changes,
    }


@dataclass(frozen=True, slots=True)
class _Force:
    """What holds."""

    hard: tuple[Constraint, ...]
    outcome: tuple[Constraint, ...]
    predicted: tuple[str, ...]
    example: Matrix


def _in_force(job: Job, blueprint: Blueprint, limits: Sequence[Constraint]) -> _Force:
    """The limits that hold. Raises InvalidInput where one cannot be looked at before training, or not be met."""
    costs = blueprint.cost_model.metrics
    faults = [*_unknown(limits, costs), *_twice(limits)]
    if faults:
        raise InvalidInput(faults)
    replaced = {one.metric for one in limits}
    kept = [one for one in job.spec.constraints if one.metric not in replaced]
    own, outcome = blueprint.cost_model.split(kept)
    hard = (*limits, *own)
    named = [*(one.metric for one in job.spec.objectives), *(one.metric for one in outcome)]
    predicted = tuple(name for name in dict.fromkeys(named) if name not in costs)
    return _Force(hard, outcome, predicted, _example(job, blueprint, hard, len(limits)))


def _example(job: Job, blueprint: Blueprint, hard: tuple[Constraint, ...], sent: int) -> Matrix:
    """(1, d) a candidate within the hard constraints, the first `sent` of which came with the request; (0, d): any."""
    if not hard:
        return np.empty((0, len(blueprint.space)))
    reached = reachability.examine(blueprint.space, blueprint.cost_model, hard, hard, job.spec.seed)
    if reached.faults or reached.example is None:
        raise InvalidInput(_as_sent(fault, sent) for fault in reached.faults)
    return reached.example[None]


def _as_sent(fault: Fault, sent: int) -> Fault:
    """A fault of the constraints in force at its place among those that were sent; those of the job have none."""
    own = fault.pointer and int(fault.pointer[1:]) >= sent
    return Fault("/constraints" + ("" if own else fault.pointer), fault.message)


def _unknown(limits: Sequence[Constraint], costs: Sequence[str]) -> list[Fault]:
    return [
        Fault(
            f"/constraints/{index}/metric",
            f"{one.metric!r} is not known before training{checks.close_to(one.metric, costs)}",
        )
        for index, one in enumerate(limits)
        if one.metric not in costs
    ]


def _twice(limits: Sequence[Constraint]) -> list[Fault]:
    names = [one.metric for one in limits]
    return [
        Fault(f"/constraints/{index}/metric", f"{name} is limited twice: give min and max together")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _recommendations(inquiry: Inquiry, found: Sequence[Found]) -> list[Recommendation]:
    if not found:
        return []
    rows = np.stack([one.row for one in found])
    costs = inquiry.cost_model(rows)
    measured = dict(zip(inquiry.keys(inquiry.known.matrix), inquiry.known.trials, strict=True))
    candidates = inquiry.space.from_matrix(rows)
    return [
        Recommendation(
            candidate, one.predicted, {name: float(values[index]) for name, values in costs.items()}, measured.get(key)
        )
        for index, (candidate, one, key) in enumerate(zip(candidates, found, inquiry.keys(rows), strict=True))
    ]

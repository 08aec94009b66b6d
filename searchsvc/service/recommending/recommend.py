"""Recommend: the candidates that a finished search would choose within other limits, without training anything.

The second stage of FBNetV3 (arXiv 2006.02049): a predictor learns from the job's trials, whatever algorithm proposed
them, and an evolutionary search scores candidates with it instead of training them. Nothing is stored: a repeated
request is computed again from the stored trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchsvc.domain import Candidate, Constraint, Job, Trial
from searchsvc.errors import Fault, InvalidInput
from searchsvc.service.lookup import checks
from searchsvc.service.planning import reachability
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.service.recommending import search
from searchsvc.service.recommending.search import PredictedRow, Prediction, SearchRequest
from searchsvc.service.recommending.training_data import training_data
from searchsvc.spaces import Matrix, identity_for
from searchsvc.spaces.halves import Halves, halves
from searchsvc.store import Store

LARGEST_K = 20


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A candidate worth training."""

    candidate: Candidate
    predicted: Mapping[str, Prediction]
    """The metrics of objectives and limits that only training shows, after `Recommendations.epoch` epochs."""
    costs: Mapping[str, float]
    trial: Trial | None
    """The trial that measured this candidate already, or the same network trained the same way."""

    @property
    def halves(self) -> Halves:
        return halves(self.candidate.values)


@dataclass(frozen=True, slots=True)
class Recommendations:
    """Candidates, the best first."""

    job: Job
    constraints: tuple[Constraint, ...]
    """Limits on metrics known before training: each candidate keeps them."""
    outcome: tuple[Constraint, ...]
    """Limits of the job on metrics that only training shows: each candidate is predicted to keep them, if any can."""
    learned_from: int
    """Number of trials in the predictor's training data."""
    epoch: int
    """Predictions are of metrics after this number of epochs."""
    items: tuple[Recommendation, ...]


def recommend(store: Store, job: Job, blueprint: Blueprint, limits: Sequence[Constraint], k: int) -> Recommendations:
    """Return the k best candidates within `limits`, which replace the job's own limits on the same metrics.

    Raises InvalidInput (pointers `/k`, `/constraints/0`, ...), and Conflict if the job has too few results.
    """
    if not 1 <= k <= LARGEST_K:
        raise InvalidInput.at("/k", f"must lie from 1 to {LARGEST_K}, not {k}")
    constraints = _constraints(job, blueprint, limits)
    data = training_data(store, job, blueprint.space, constraints.predicted)
    request = SearchRequest(
        training_data=data,
        space=blueprint.space,
        cost_model=blueprint.cost_model,
        identity=identity_for(job.spec.task, blueprint.space, blueprint.constants),
        constraints=(*constraints.hard, *constraints.outcome),
        predicted=constraints.predicted,
        example=constraints.example,
        objectives=job.spec.objectives,
        k=k,
        seed=job.spec.seed,
    )
    items = tuple(_recommendations(request, search.search(request)))
    return Recommendations(job, constraints.hard, constraints.outcome, len(data.trials), data.epoch, items)


def spec_to_train(recommendations: Recommendations) -> dict[str, Any]:
    """Return the spec of a job that trains the recommended candidates, and nothing else, to the full fidelity."""
    limits = (*recommendations.constraints, *recommendations.outcome)
    return training_spec(
        recommendations.job,
        [dict(item.candidate.values) for item in recommendations.items],
        name="recommended",
        constraints=[limit.model_dump(mode="json") for limit in limits],
    )


def training_spec(job: Job, candidates: Sequence[Mapping[str, Any]], *, name: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of `job`, changed so that it trains these candidates and nothing else."""
    return {
        **job.spec.document(),
        "name": f"{job.name[: 127 - len(name)]}-{name}",
        "algorithm": {"name": "given", "candidates": [dict(candidate) for candidate in candidates]},
        "stopping": {"name": "none"},
        "budget": {"trials": len(candidates)},
        **changes,
    }


@dataclass(frozen=True, slots=True)
class _Constraints:
    """The constraints in force, and quantities derived from them."""

    hard: tuple[Constraint, ...]
    outcome: tuple[Constraint, ...]
    predicted: tuple[str, ...]
    """Metrics that only training shows."""
    example: Matrix
    """(1, d) a candidate within the hard constraints; (0, d) if there are none."""


def _constraints(job: Job, blueprint: Blueprint, limits: Sequence[Constraint]) -> _Constraints:
    """Return the constraints in force: `limits`, and those of the job on other metrics.

    Raises InvalidInput if a limit is on a metric unknown before training, or if nothing meets the constraints.
    """
    costs = blueprint.cost_model.metrics
    if faults := [*_unknown(limits, costs), *_repeated(limits)]:
        raise InvalidInput(faults)
    replaced = {limit.metric for limit in limits}
    own = [constraint for constraint in job.spec.constraints if constraint.metric not in replaced]
    own_hard, outcome = blueprint.cost_model.split(own)
    hard = (*limits, *own_hard)
    metrics = [*(objective.metric for objective in job.spec.objectives), *(limit.metric for limit in outcome)]
    predicted = tuple(metric for metric in dict.fromkeys(metrics) if metric not in costs)
    return _Constraints(hard, outcome, predicted, _example(job, blueprint, hard, len(limits)))


def _example(job: Job, blueprint: Blueprint, hard: tuple[Constraint, ...], sent: int) -> Matrix:
    """Return (1, d), a candidate within the hard constraints, or (0, d) if there are none.

    The first `sent` constraints came with the request.
    """
    if not hard:
        return np.empty((0, len(blueprint.space)))
    reached = reachability.examine(blueprint.space, blueprint.cost_model, hard, hard, job.spec.seed)
    if reached.faults or reached.example is None:
        raise InvalidInput(_as_sent(fault, sent) for fault in reached.faults)
    return reached.example[None]


def _as_sent(fault: Fault, sent: int) -> Fault:
    """Point a fault at its constraint in the request; the job's own constraints have no place there."""
    is_own = fault.pointer and int(fault.pointer[1:]) >= sent
    return Fault("/constraints" + ("" if is_own else fault.pointer), fault.message)


def _unknown(limits: Sequence[Constraint], costs: Sequence[str]) -> list[Fault]:
    return [
        Fault(
            f"/constraints/{index}/metric",
            f"{limit.metric!r} is not known before training{checks.close_to(limit.metric, costs)}",
        )
        for index, limit in enumerate(limits)
        if limit.metric not in costs
    ]


def _repeated(limits: Sequence[Constraint]) -> list[Fault]:
    metrics = [limit.metric for limit in limits]
    return [
        Fault(f"/constraints/{index}/metric", f"{metric} is limited twice: give min and max together")
        for index, metric in enumerate(metrics)
        if metric in metrics[:index]
    ]


def _recommendations(request: SearchRequest, predictions: Sequence[PredictedRow]) -> list[Recommendation]:
    if not predictions:
        return []
    rows, data = np.stack([prediction.row for prediction in predictions]), request.training_data
    costs = request.cost_model(rows)
    trials = dict(zip(request.keys(data.matrix), data.trials, strict=True))
    candidates = request.space.from_matrix(rows)
    return [
        Recommendation(
            candidate,
            prediction.predicted,
            {metric: float(values[index]) for metric, values in costs.items()},
            trials.get(key),
        )
        for index, (candidate, prediction, key) in enumerate(
            zip(candidates, predictions, request.keys(rows), strict=True)
        )
    ]

"""Recommendations: the limits in force, the details of each candidate, the faults, and the job that trains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from searchsvc.domain import Constraint, Job, new_id
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.recommending import search
from searchsvc.service.recommending.search import PredictedRow, Prediction, SearchRequest
from searchsvc.service.service import Service

FLOPS = Constraint(metric="flops", max=4e5)


def rows_within(request: SearchRequest) -> Sequence[PredictedRow]:
    """Replaces the search: rows of the training data within the limits, the best first, then random rows."""
    data, generator = request.training_data, np.random.default_rng(request.seed)
    rows = np.vstack([data.matrix[::-1], request.space.sample(500, generator)])
    costs = request.cost_model(rows)
    feasible = np.logical_and.reduce(
        [one.excess(costs[one.metric]) == 0 for one in request.constraints if one.metric in costs]
    )
    return [PredictedRow(row, {"accuracy": Prediction(0.9, 0.01)}) for row in rows[feasible][: request.k]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "search", rows_within)


def faults(service: Service, job: Job, *limits: Constraint, k: int = 5) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        service.recommendations.recommend(job.id, limits, k=k)
    return {fault.pointer: fault.message for fault in refused.value.faults}


@pytest.mark.usefixtures("stand_in")
class TestLimits:
    def test_a_new_limit_takes_the_place_of_the_jobs_own_on_that_metric(
        self, service: Service, finished_job: Callable[..., Job]
    ) -> None:
        limits = [{"metric": "flops", "max": 1e6}, {"metric": "params", "max": 9e4}, {"metric": "loss", "max": 0.6}]
        recommendations = service.recommendations.recommend(finished_job(12, constraints=limits).id, [FLOPS])
        assert [str(one) for one in recommendations.constraints] == ["flops <= 400000", "params <= 90000"]
        assert [str(one) for one in recommendations.outcome] == ["loss <= 0.6"]
        assert all(one.costs["flops"] <= 4e5 and one.costs["params"] <= 9e4 for one in recommendations.items)

    def test_without_limits_those_of_the_job_hold(self, service: Service, finished_job: Callable[..., Job]) -> None:
        recommendations = service.recommendations.recommend(finished_job(12).id, [])
        assert [str(one) for one in recommendations.constraints] == ["flops <= 1e+06"]

    def test_a_limit_that_nothing_meets_is_answered_with_the_smallest_there_is(
        self, service: Service, finished_job: Callable[..., Job]
    ) -> None:
        job = finished_job(12)
        said = faults(service, job, Constraint(metric="params", max=1e9), Constraint(metric="flops", max=10))
        assert set(said) == {"/constraints/1"}
        assert "cannot be reached: the smallest flops found in this space is" in said["/constraints/1"]

    def test_limits_that_the_jobs_own_exclude_are_said_to_exclude_each_other(
        self, service: Service, finished_job: Callable[..., Job]
    ) -> None:
        job = finished_job(12, constraints=[{"metric": "params", "min": 50_000}])
        assert "together" in faults(service, job, Constraint(metric="flops", max=25_000))["/constraints"]

    def test_a_metric_that_only_training_shows_is_refused(
        self, service: Service, finished_job: Callable[..., Job]
    ) -> None:
        said = faults(service, finished_job(12), FLOPS, Constraint(metric="accuracy", min=0.9))
        assert said == {"/constraints/1/metric": "'accuracy' is not known before training; there are flops, params"}

    def test_a_metric_is_limited_once(self, service: Service, finished_job: Callable[..., Job]) -> None:
        said = faults(service, finished_job(12), FLOPS, Constraint(metric="flops", min=1.0))
        assert said == {"/constraints/1/metric": "flops is limited twice: give min and max together"}

    @pytest.mark.parametrize("k", [0, 21])
    def test_k_has_its_range(self, service: Service, finished_job: Callable[..., Job], k: int) -> None:
        assert set(faults(service, finished_job(12), k=k)) == {"/k"}


@pytest.mark.usefixtures("stand_in")
class TestAnswers:
    def test_what_was_measured_already_is_said(self, service: Service, finished_job: Callable[..., Job]) -> None:
        job = finished_job(12)
        first = service.recommendations.recommend(job.id, []).items[0]
        assert first.trial is not None
        assert first.trial.proposal.candidate == first.candidate
        assert first.costs == pytest.approx(first.trial.proposal.costs)

    def test_a_candidate_is_split_in_its_halves(self, service: Service, finished_job: Callable[..., Job]) -> None:
        recommendation = service.recommendations.recommend(finished_job(12).id, []).items[0]
        assert {"lr", "optimizer"} <= recommendation.halves.recipe.keys()
        assert {"depth_1", "kernel"} & recommendation.halves.architecture.keys()
        assert {**recommendation.halves.architecture, **recommendation.halves.recipe} == recommendation.candidate.values

    def test_too_few_results_are_a_conflict_and_nothing_is_stored(
        self, service: Service, document: dict[str, Any]
    ) -> None:
        job, _ = service.jobs.submit(document)
        before = service.events.last_sequence()
        with pytest.raises(Conflict, match="has 0 trials with a result"):
            service.recommendations.recommend(job.id, [])
        assert service.events.last_sequence() == before


@pytest.mark.usefixtures("stand_in")
class TestTraining:
    def test_the_job_trains_exactly_what_was_recommended_in_full(
        self, service: Service, finished_job: Callable[..., Job]
    ) -> None:
        job = finished_job(12, stopping={"name": "asha"}, budget={"trials": 12, "seconds": 60.0})
        recommendations = service.recommendations.recommend(job.id, [FLOPS], k=3)
        made = service.recommendations.train(recommendations, owner=service.access.create("me")[0])
        assert (made.name, made.owner, made.spec.stopping.name) == ("digits-recommended", "me", "none")
        assert (made.spec.fidelity, made.spec.constraints) == (job.spec.fidelity, (FLOPS,))
        assert made.spec.budget.model_dump() == {"trials": 3, "seconds": None, "gpu_hours": None}
        proposer = service.jobs.plan(made.spec.document()).candidates
        assert [one.candidate for one in proposer] == [one.candidate for one in recommendations.items]

    def test_the_same_request_makes_one_job(self, service: Service, finished_job: Callable[..., Job]) -> None:
        recommendations = service.recommendations.recommend(finished_job(12).id, [FLOPS])
        request = new_id()
        assert {service.recommendations.train(recommendations, request_id=request).id for _ in range(2)} == {request}

"""Rounds, supernets, recommendations and transfers of recipes over REST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from fastapi.testclient import TestClient

from searchsvc.domain import Categorical, Job, Measurement, Outcome, TrialState, new_id
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.recommending import search
from searchsvc.service.recommending.search import PredictedRow, Prediction, SearchRequest
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.spaces import ShippedSpace, Space, catalogue
from tests.support.supernets import a_job_with_a_supernet

JOBS = "/api/v1/jobs"
Connect = Callable[[Scope | None], TestClient]


def rows_of_the_data(request: SearchRequest) -> Sequence[PredictedRow]:
    """Replaces the search with predictors: returns rows of the training data."""
    rows = request.training_data.matrix[: request.k]
    return [PredictedRow(row, {"accuracy": Prediction(0.9, 0.01)}) for row in rows]


@pytest.fixture
def searched(service: Service, job: Job, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with ten results and a round, with the search with predictors replaced."""
    monkeypatch.setattr(search, "search", rows_of_the_data)
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    writer = service.store.writer(claimed[1])
    proposals = make_proposer(resolve(job.spec, trusted=True, settings=service.settings)).propose(10)
    for number, proposal in enumerate(proposals):
        trial, measured = new_id(), Measurement(1, {"accuracy": 0.5 + number / 100}, 1.0)
        writer.add_trials([(trial, number, proposal)])
        writer.start_attempt(trial, 1, "node", 1, 0.0)
        writer.measure(trial, measured, measured)
        writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED), number)
    writer.record_round(0, {"trials": 10, "rank_correlation": 0.8})
    writer.flush()
    return job


def test_rounds_are_listed(client: TestClient, searched: Job) -> None:
    [listed] = client.get(f"{JOBS}/{searched.id}/rounds").json()["items"]
    assert (listed["number"], listed["data"]) == (0, {"trials": 10, "rank_correlation": 0.8})
    assert client.get(f"{JOBS}/nowhere/rounds").status_code == 404


def test_what_a_supernet_has_learned_is_told(client: TestClient, service: Service, searched: Job) -> None:
    shared = a_job_with_a_supernet(service.store)
    body = client.get(f"{JOBS}/{shared.id}/distributions").json()
    assert (body["trial"], body["state"], body["step"], body["steps"]) == (0, "SUCCEEDED", 4, 4)
    assert body["metrics"]["reward"] == 1.0
    assert body["parameters"][1] == {
        "parameter": "optimizer",
        "options": ["sgd", "adamw"],
        "probabilities": [0.0, 1.0],
        "entropy": 0.0,
    }
    trials = client.get(f"{JOBS}/{shared.id}/trials").json()["items"]
    assert [(one["kind"], one["values"] == {}) for one in trials] == [("supernet", True), *[("candidate", False)] * 2]
    assert client.get(f"{JOBS}/{searched.id}/distributions").status_code == 409
    assert client.get(f"{JOBS}/nowhere/distributions").status_code == 404


def test_importance_and_architectures_are_told(client: TestClient, searched: Job) -> None:
    body = client.get(f"{JOBS}/{searched.id}/importance").json()
    assert (body["metric"], body["results"]) == ("accuracy", 10)
    assert sum(body["shares"].values()) == pytest.approx(1.0)
    assert client.get(f"{JOBS}/{searched.id}/importance?metric=latency").status_code == 422
    trial = client.get(f"{JOBS}/{searched.id}/trials/3").json()
    network = client.get(f"{JOBS}/{searched.id}/trials/3/architecture").json()
    assert sum(one["flops"] for one in network["stages"]) == network["flops"] == trial["costs"]["flops"]
    assert client.get(f"{JOBS}/{searched.id}/trials/99/architecture").status_code == 404


def test_a_recommendation_stores_nothing(client: TestClient, service: Service, searched: Job) -> None:
    before = service.events.last_sequence()
    answer = client.post(f"{JOBS}/{searched.id}:recommend", json={"constraints": [{"metric": "flops", "max": 1e9}]})
    assert (answer.status_code, service.events.last_sequence()) == (200, before)
    body = answer.json()
    assert (body["learned_from"], body["epoch"], body["job"], len(body["items"])) == (10, 1, None, 5)
    first = body["items"][0]
    assert first["predicted"] == {"accuracy": {"mean": 0.9, "deviation": 0.01}}
    assert {**first["architecture"], **first["recipe"]} == first["values"]
    assert (first["trial"], first["measured"]["accuracy"]) == (0, 0.5)
    assert first["costs"]["flops"] > 0


def test_what_is_recommended_is_trained_on_request_once_per_key(client: TestClient, searched: Job) -> None:
    path, key = f"{JOBS}/{searched.id}:recommend", {"Idempotency-Key": "k"}
    answers = [client.post(path, json={"k": 2, "train": True}, headers=key) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    made = answers[0].json()["job"]
    assert answers[1].json()["job"]["id"] == made["id"]
    assert answers[0].headers["Location"] == f"{JOBS}/{made['id']}"
    assert client.get(answers[0].headers["Location"]).json()["spec"]["budget"]["trials"] == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"constraints": [{"metric": "accuracy", "min": 0.9}]}, "/constraints/0/metric"),
        ({"constraints": [{"metric": "flops", "max": 3}]}, "/constraints/0"),
        ({"constraints": [{"metric": "flops"}]}, "/constraints/0"),
        ({"k": 0}, "/k"),
        ({"limits": []}, "/limits"),
    ],
)
def test_a_wrong_wish_is_refused_at_its_place(
    client: TestClient, searched: Job, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post(f"{JOBS}/{searched.id}:recommend", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_too_few_results_are_a_conflict(client: TestClient, job: Job) -> None:
    answer = client.post(f"{JOBS}/{job.id}:recommend", json={})
    assert answer.status_code == 409
    assert "has 0 trials with a result" in answer.json()["detail"]


def test_recipes_are_transferred_and_reported(
    client: TestClient, searched: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = ShippedSpace("zoo", "", "classification", Space([Categorical("network", ("mbconv",))]))
    monkeypatch.setattr(catalogue, "SPACES", MappingProxyType({**catalogue.SPACES, "zoo": zoo}))
    answer = client.post(f"{JOBS}/{searched.id}:transfer", json={"space": "zoo", "k": 2})
    assert answer.status_code == 201
    report = client.get(f"{answer.headers['Location']}/transfer").json()
    assert len(report["recipes"]) == 3
    nothing = {"trials": 0, "mean": None, "deviation": None, "gain": None}
    assert report["networks"] == {"mbconv": [{"recipe": place, **nothing} for place in range(3)]}
    assert client.get(f"{JOBS}/{searched.id}/transfer").status_code == 409
    refused = client.post(f"{JOBS}/{searched.id}:transfer", json={"space": "nowhere"})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/space"]


def test_what_is_worth_it_is_reported(
    client: TestClient, service: Service, searched: Job, spec: dict[str, Any]
) -> None:
    assert client.get(f"{JOBS}/{searched.id}/report").status_code == 409
    level = {"type": "categorical", "name": "augmentation", "choices": ["none", "S4"]}
    job, _ = service.jobs.submit({**spec, "space": {"parameters": [level]}})
    assert client.get(f"{JOBS}/{job.id}/report").json() == {
        "objective": {"metric": "accuracy", "goal": "maximize"},
        "genes": ["augmentation"],
        "items": [],
    }


def test_only_who_may_submit_may_ask(connect: Connect, searched: Job) -> None:
    reader = connect(Scope.READ)
    assert reader.post(f"{JOBS}/{searched.id}:recommend", json={}).status_code == 403
    assert reader.post(f"{JOBS}/{searched.id}:transfer", json={"space": "zoo"}).status_code == 403
    assert reader.get(f"{JOBS}/{searched.id}/transfer").status_code == 409

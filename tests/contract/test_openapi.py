"""The REST interface conforms to its OpenAPI description for any request; schemathesis generates the requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.rest.app import create_app
from searchsvc.domain import Candidate, Measurement, Outcome, Proposal, TrialState, new_id
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12
SPEC: dict[str, Any] = {
    "name": "known",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 3},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("openapi")
    settings = Settings(data_dir=folder, host="0.0.0.0", database_wait_seconds=5.0).prepare()  # accepts any Host header
    (settings.data_dir / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    store = Store.open(settings.database_url)
    yield Service(store, settings)
    store.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    return create_app(service, settings=service.settings)


def evaluated_job(service: Service) -> str:
    """A job with a finished trial, so that responses contain data."""
    job = service.jobs.submit(SPEC)[0]
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    writer, trial = service.store.writer(claimed[1]), new_id()
    measured = Measurement(1, {"accuracy": 0.5}, 1.0)
    writer.add_trials([(trial, 0, Proposal(Candidate({"lr": 0.1}), asks=1, told=0, costs={"flops": 1e6}))])
    writer.start_attempt(trial, 1, "node", 1, job.created_at)
    writer.measure(trial, measured, measured)
    writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED), 0)
    writer.flush()
    service.store.release(claimed[1])
    service.settings.job_log(job.id).write_text("log")
    return job.id


def check(operation: APIOperation[Any, Any, Any], mode: GenerationMode, existing: dict[str, Any], secret: str) -> None:
    """Send requests that the description allows or forbids, to existing and to missing objects."""

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), exists=st.booleans())
    def send(case: Case, exists: bool) -> None:
        if exists and operation.method == "get":
            case.path_parameters = {name: existing.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {secret}"})

    send()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_every_answer_is_as_described(app: FastAPI, service: Service, mode: GenerationMode) -> None:
    secret = service.access.create("test", scope=Scope.ADMIN)[1]
    existing = {"job": evaluated_job(service), "trial": "0", "name": "mbconv-small"}
    schema = from_asgi("/api/v1/openapi.json", app)
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not list(operation.iter_parameters()) and not operation.body:
            continue
        check(operation, mode, existing, secret)
        seen += 1
    assert seen > 20


def test_the_description_is_valid_and_says_who_may_ask(app: FastAPI) -> None:
    schemathesis.openapi.from_dict(app.openapi()).validate()
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert operation["description"].strip(), place
            assert "500" in operation["responses"], place
            if path not in ("/healthz", "/readyz"):
                assert operation["security"] == [{"token": []}], place
                assert "401" in operation["responses"], place
            for status, answer in operation["responses"].items():
                kinds = set(answer.get("content", ()))
                assert kinds == {"application/problem+json"} or int(status) < 400, place


def test_operation_ids_and_schema_fields_are_named_and_described(app: FastAPI) -> None:
    document = app.openapi()
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(set(ids)) == len(ids)
    assert all(one.replace("_", "").isalpha() and one.islower() for one in ids)
    answers = ("Job", "JobDetail", "Trial", "Event", "Measurement", "Attempt", "Artifact", "Token", "JobPlan", "Round")
    shared = ("Distribution", "Distributions")
    for name in (*answers, "Advice", "Recommendation", "Prediction", "MeasuredTransfer", "MeasuredRecipe", *shared):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert "description" in schema or "$ref" in schema, f"{name}.{field}"

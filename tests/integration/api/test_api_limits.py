"""Limits of a token over REST and in searchctl."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.cli.client import Client
from api.cli.exits import Exit, ProblemReceived, exit_of
from api.cli.local_transport import LocalTransport
from api.rest.app import create_app
from api.rest.rates import RequestRates
from searchsvc.domain import Token, new_id
from searchsvc.errors import LimitExceeded
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.integration.api.conftest import ADDRESS, Connect

JOBS = "/api/v1/jobs"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, limit_open_jobs=1, limit_open_trials=100)


def test_a_job_beyond_a_quota_is_a_429_like_other_errors(connect: Connect, spec: dict[str, Any]) -> None:
    client, other = connect(Scope.SUBMIT), connect(Scope.SUBMIT)
    first = client.post(JOBS, json=spec)
    assert first.status_code == 201
    for path, body in ((JOBS, spec), (f"{JOBS}/{first.json()['id']}:clone", {"seed": 7})):
        refused = client.post(path, json=body, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")
        assert int(refused.headers["Retry-After"]) == 60
        problem = refused.json()
        assert (problem["type"], problem["status"]) == ("/problems/limit-exceeded", 429)
        assert "1 open jobs, and its limit is 1 (SEARCHSVC_LIMIT_OPEN_JOBS)" in problem["detail"]
    assert other.post(JOBS, json=spec).status_code == 201
    assert client.post(f"{JOBS}/{first.json()['id']}:extend", json={"trials": 101}).status_code == 429
    assert client.post(f"{JOBS}/{first.json()['id']}:cancel").status_code == 200
    assert client.post(JOBS, json=spec, headers={"Idempotency-Key": "k"}).status_code == 201, "the key is free again"


def test_requests_are_counted_for_each_token(service: Service, store: Store, settings: Settings) -> None:
    app = create_app(service, settings=replace(settings, limit_requests=3))
    with TestClient(app, base_url=ADDRESS) as client:
        secrets = [service.access.create("ci")[1] for _ in range(2)]
        headers = [{"Authorization": f"Bearer {secret}"} for secret in secrets]
        assert [client.get(JOBS, headers=headers[0]).status_code for _ in range(3)] == [200] * 3
        refused = client.get(JOBS, headers=headers[0])
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/limit-exceeded")
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert "3 requests within a minute" in refused.json()["detail"]
        assert client.get(JOBS, headers=headers[1]).status_code == 200
        assert client.get("/readyz").status_code == 200


def test_a_bucket_is_refilled_evenly() -> None:
    now = [0.0]
    rates, token = RequestRates(60, clock=lambda: now[0]), Token(new_id(), "ci", "read", 0.0, None, None, None)
    for _ in range(60):
        rates.take(token)
    with pytest.raises(LimitExceeded) as refused:
        rates.take(token)
    assert refused.value.retry_after_seconds == pytest.approx(1.0)
    now[0] = 2.5
    rates.take(token)
    rates.take(token)
    with pytest.raises(LimitExceeded):
        rates.take(token)


def test_without_settings_nothing_is_limited(store: Store, settings: Settings, spec: dict[str, Any]) -> None:
    plain = replace(settings, limit_open_jobs=None, limit_open_trials=None)
    app = create_app(Service(store, plain), settings=plain)
    with TestClient(app, base_url=ADDRESS) as client:
        client.headers["Authorization"] = f"Bearer {Service(store, plain).access.local_token()}"
        assert {client.post(JOBS, json=spec).status_code for _ in range(3)} == {201}
        assert {client.get(JOBS).status_code for _ in range(50)} == {200}


def test_searchctl_waits_for_the_rate_and_reports_a_quota(
    app: FastAPI, service: Service, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("api.cli.client.time.sleep", waits.append)
    with Client(LocalTransport(app, ADDRESS), service.access.local_token()) as client:
        client.post("/jobs", spec)
        with pytest.raises(ProblemReceived, match="its limit is 1") as refused:
            client.post("/jobs", spec)
        assert (exit_of(refused.value.status), waits) == (Exit.CONFLICT, [])
        now = [0.0]
        app.state.rates = RequestRates(60, clock=lambda: now[0])

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            now[0] += seconds

        monkeypatch.setattr("api.cli.client.time.sleep", sleep)
        for _ in range(62):
            client.get("/jobs")
        assert waits == [1, 1]
        app.state.rates = RequestRates(60, clock=lambda: 0.0)
        for _ in range(60):
            client.get("/jobs")
        with pytest.raises(ProblemReceived, match="60 requests within a minute"):
            client.get("/jobs")
        assert waits == [1, 1, 1, 1, 1], "it gives up after three tries more"

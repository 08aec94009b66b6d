"""Permissions: every route of the app, with every kind of token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from tests.support.statements import commits
from tests.support.system import wait_for

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/api/v1/openapi.json")}
READS = {"/api/v1/jobs/{job}:reassess"}
"""Routes that receive a body but change nothing."""
SUBMIT = re.compile(r"/api/v1/jobs(/\{job\}(:[a-z]+|/relabelling/verdicts)?)?")
Connect = Callable[[Scope | None], TestClient]


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Return (method, path template) of all routes of the app."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            assert route.path is not None
            yield method, route.path


def needed(method: str, path: str) -> Scope | None:
    """Return the scope that a route should require, stated independently of the app."""
    if (method, path) in OPEN:
        return None
    if path.startswith("/api/v1/tokens"):
        return Scope.ADMIN
    if method != "GET" and path not in READS:
        assert SUBMIT.fullmatch(path), f"{method} {path} changes something: which scope does it need?"
        return Scope.SUBMIT
    return Scope.READ


def ask(client: TestClient, method: str, path: str, job: Job) -> int:
    parts = {"trial": "0", "trial_id": job.id, "artifact": "a", "image": 0, "name": "mbconv-small", "token": job.id}
    filled = path.format(job=job.id, **parts)
    return client.request(method, filled, follow_redirects=False).status_code


@pytest.mark.parametrize("scope", [None, *Scope])
def test_every_route_needs_its_scope(app: FastAPI, connect: Connect, job: Job, scope: Scope | None) -> None:
    client, seen = connect(scope), 0
    for method, path in routes(app):
        if method == "DELETE" and scope is Scope.ADMIN:
            continue
        want, got = needed(method, path), ask(client, method, path, job)
        seen += 1
        if want is None:
            assert got == 200, path
        elif scope is None:
            assert got == 401, path
        elif scope.covers(want):
            assert got not in (401, 403, 500), path
        else:
            assert got == 403, path
    assert seen > 30


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic dXNlcjpwYXNz",
        "Bearer ssvc_wrong",
        "bearer \xff\xfe",
        "Bearer " + "x" * 5000,
    ],
)
def test_a_wrong_token_is_refused_and_told_how(connect: Connect, header: str) -> None:
    answer = connect(None).get("/api/v1/jobs", headers={"Authorization": header.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "/problems/unauthenticated"


def test_tokens_expire_and_are_revoked(connect: Connect, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, user = connect(Scope.ADMIN), connect(None)
    made = admin.post("/api/v1/tokens", json={"name": "ci", "scope": "submit", "expires_seconds": 60})
    assert made.status_code == 201
    user.headers["Authorization"] = f"Bearer {made.json()['secret']}"
    assert user.get("/api/v1/jobs").status_code == 200
    assert user.get("/api/v1/tokens").status_code == 403
    now = service.context.clock()
    monkeypatch.setattr(service.context, "clock", lambda: now + 61)
    assert "expired" in user.get("/api/v1/jobs").json()["detail"]
    monkeypatch.setattr(service.context, "clock", lambda: now)
    assert admin.delete(f"/api/v1/tokens/{made.json()['id']}").status_code == 204
    assert "revoked" in user.get("/api/v1/jobs").json()["detail"]


def test_a_secret_is_shown_once(connect: Connect) -> None:
    admin = connect(Scope.ADMIN)
    made: dict[str, Any] = admin.post("/api/v1/tokens", json={"name": "ci"}).json()
    listed = admin.get("/api/v1/tokens")
    assert made["secret"] not in listed.text
    assert "secret" not in listed.text
    [row] = [one for one in listed.json()["items"] if one["id"] == made["id"]]
    assert (row["name"], row["scope"], row["used_at"]) == ("ci", "read", None)


def test_the_last_use_of_a_token_is_stored_in_the_background(connect: Connect, service: Service) -> None:
    client = connect(Scope.READ)
    now = service.context.clock()
    with commits() as made:
        for _ in range(5):
            client.get("/api/v1/jobs")
        used = wait_for(lambda: service.access.tokens()[0].used_at, seconds=60)
        writes = [connection for connection in made if connection.get_execution_options()["searchsvc_writes"]]
    assert len(writes) == 1
    assert used >= now


def test_a_job_knows_who_submitted_it(connect: Connect, spec: dict[str, Any]) -> None:
    assert connect(Scope.SUBMIT).post("/api/v1/jobs", json=spec).json()["owner"] == "submit"


def test_metrics_count_requests_by_template_and_trials_by_state(connect: Connect, job: Job) -> None:
    client = connect(Scope.READ)
    client.get(f"/api/v1/jobs/{job.id}")
    client.get("/nowhere")
    text = client.get("/metrics").text
    assert 'searchsvc_http_requests_total{method="GET",route="/api/v1/jobs/{job}",status="200"} 1.0' in text
    assert 'searchsvc_http_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'searchsvc_jobs{state="QUEUED"} 1.0' in text
    assert 'searchsvc_trials{state="FAILED"} 0.0' in text
    assert "searchsvc_sse_clients 0.0" in text
    assert job.id not in text

"""Slow requests of a kind delay neither other requests nor the health checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from api.rest.kinds import AT_ONCE, KINDS, WAITING, kind_of
from searchsvc.domain import Job
from searchsvc.errors import Conflict
from searchsvc.service.service import Service
from tests.support.system import wait_for

JOBS = "/api/v1/jobs"
MANY = 45  # more than the pool of threads has


class Gate:
    """A use case that waits until it is let go, and counts its callers."""

    def __init__(self) -> None:
        self.inside, self.most = 0, 0
        self._lock, self._open = threading.Lock(), threading.Event()

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self._open.wait(120)
        with self._lock:
            self.inside -= 1
        raise Conflict("let go")

    def let_go(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.let_go()


def _all(
    pool: ThreadPoolExecutor, client: TestClient, count: int, *request: Any, **named: Any
) -> list[Future[Response]]:
    return [pool.submit(client.request, *request, **named) for _ in range(count)]


def _is_quick(client: TestClient) -> None:
    """Check that quick requests are answered now; if one waited, the test would hang."""
    for path in ("/healthz", "/readyz", JOBS, "/metrics"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("use_case", "method", "path", "body"),
    [
        ("jobs.plan", "POST", f"{JOBS}?validate_only=true", {}),
        ("jobs.submit", "POST", JOBS, {}),
        ("jobs.clone", "POST", f"{JOBS}/{{job}}:clone", {}),
        ("recommendations.recommend", "POST", f"{JOBS}/{{job}}:recommend", {}),
        ("labels.reassess", "POST", f"{JOBS}/{{job}}:reassess", {"labels": [[1]]}),
        ("exports.write", "GET", f"{JOBS}/{{job}}/export?format=csv", None),
        ("labels.picture", "GET", f"{JOBS}/{{job}}/relabelling/images/0", None),
        ("results.importance", "GET", f"{JOBS}/{{job}}/importance", None),
    ],
)
def test_slow_requests_leave_threads_for_others(
    client: TestClient,
    service: Service,
    job: Job,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    use_case: str,
    method: str,
    path: str,
    body: object,
) -> None:
    noun, verb = use_case.split(".")
    monkeypatch.setattr(getattr(service, noun), verb, gate)
    with ThreadPoolExecutor(MANY) as pool:
        slow = _all(pool, client, MANY, method, path.format(job=job.id), json=body)
        wait_for(lambda: gate.inside == AT_ONCE or None, seconds=60)
        _is_quick(client)
        assert not any(request.done() for request in slow)
        gate.let_go()
        assert {request.result(60).status_code for request in slow} == {409}
    assert gate.most == AT_ONCE


def test_other_kinds_go_on(client: TestClient, service: Service, job: Job, gate: Gate, spec: dict[str, Any]) -> None:
    service.exports.write = gate  # type: ignore[method-assign]
    with ThreadPoolExecutor(MANY) as pool:
        slow = _all(pool, client, MANY, "GET", f"{JOBS}/{job.id}/export?format=csv")
        wait_for(lambda: gate.inside == AT_ONCE or None, seconds=60)
        assert client.post(JOBS, json=spec).status_code == 201
        gate.let_go()
        assert {request.result(60).status_code for request in slow} == {409}


def test_health_checks_need_no_thread_of_the_pool(
    client: TestClient, service: Service, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.jobs, "page", gate)  # a quick kind, which is not limited
    with ThreadPoolExecutor(MANY) as pool:
        slow = _all(pool, client, MANY, "GET", JOBS)
        wait_for(lambda: gate.inside == 40 or None, seconds=60)  # all threads
        for path in ("/healthz", "/readyz"):
            assert client.get(path).status_code == 200
        gate.let_go()
        assert {request.result(60).status_code for request in slow} == {409}


def test_too_many_that_wait_are_refused_with_a_time_to_wait(
    client: TestClient, service: Service, job: Job, gate: Gate
) -> None:
    service.exports.write = gate  # type: ignore[method-assign]
    path = f"{JOBS}/{job.id}/export?format=csv"
    with ThreadPoolExecutor(WAITING + AT_ONCE + 1) as pool:
        slow = _all(pool, client, WAITING + AT_ONCE + 1, "GET", path)
        [refused] = wait_for(lambda: [one for one in slow if one.done()] or None, seconds=60)
        assert (refused.result().status_code, refused.result().headers["Retry-After"]) == (503, "5")
        assert "requests of the kind `export` wait already" in refused.result().json()["detail"]
        gate.let_go()
        assert sorted(one.result(60).status_code for one in slow) == [409] * (WAITING + AT_ONCE) + [503]


def test_a_visitor_without_a_token_takes_no_turn(client: TestClient, service: Service, job: Job, gate: Gate) -> None:
    service.jobs.plan = gate  # type: ignore[method-assign]
    path = f"{JOBS}?validate_only=true"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        slow = _all(pool, client, AT_ONCE, "POST", path, json={})
        wait_for(lambda: gate.inside == AT_ONCE or None, seconds=60)
        assert client.post(path, json={}, headers={"Authorization": "Bearer ssvc_no"}).status_code == 401
        gate.let_go()
        assert [one.result(60).status_code for one in slow] == [409] * AT_ONCE


def test_every_kind_is_that_of_some_route(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    kinds = {
        kind_of({"type": "http", "method": method.upper(), "path": path.replace("{", "").replace("}", "")})
        for path, item in document["paths"].items()
        for method in item
    }
    assert kinds == {None, *KINDS}

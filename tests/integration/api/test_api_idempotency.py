"""Idempotency keys of every POST request: decided on what the client sent, shared by all processes of the service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.rest.app import create_app
from searchsvc.domain import Job
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store
from searchsvc.store.access.requests import RequestKey
from tests.integration.api.conftest import ADDRESS, Connect
from tests.support.labels import a_labelled_job
from workers.tasks.classification import TASK

JOBS, TOKENS = "/api/v1/jobs", "/api/v1/tokens"
KEY = {"Idempotency-Key": "once"}


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[TestClient]:
    """Another process of the service, on the same database."""
    store = Store.open(settings.database_url)
    service = Service(store, settings)
    app = create_app(service, settings=settings)
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = "Bearer " + service.access.local_token()
        yield client
    store.close()


@pytest.fixture
def here(connect: Connect, service: Service) -> TestClient:
    """This process, with the same token as the other."""
    client = connect(None)
    client.headers["Authorization"] = "Bearer " + service.access.local_token()
    return client


def test_every_post_takes_a_key(app: FastAPI) -> None:
    operations = {path: item["post"] for path, item in app.openapi()["paths"].items() if "post" in item}
    assert len(operations) > 10
    for path, operation in operations.items():
        names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
        assert "idempotency-key" in names, path


def _digits(path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(path, x_train=images, y_train=labels)


def test_a_repetition_is_answered_although_the_files_have_changed(
    client: TestClient, service: Service, settings: Settings, spec: dict[str, Any]
) -> None:
    root = settings.data_roots[0]
    root.mkdir(parents=True)
    for name in ("monday", "tuesday"):
        _digits(root / f"{name}.npz")
    current = root / "current.npz"
    current.symlink_to("monday.npz")
    document = {**spec, "dataset": {"format": "npz", "path": "current.npz"}}
    first = client.post(JOBS, json=document, headers=KEY)
    assert first.status_code == 201
    current.unlink()
    current.symlink_to("tuesday.npz")
    moved = client.post(JOBS, json=document, headers=KEY)
    current.unlink()
    gone = client.post(JOBS, json=document, headers=KEY)
    for answer in (moved, gone):
        assert (answer.status_code, answer.json()) == (201, first.json())
        assert answer.headers["Location"] == first.headers["Location"]
    assert len(service.jobs.page().items) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [(JOBS, {"seed": 5}), (f"{JOBS}?validate_only=true", {}), (TOKENS, {})],
    ids=["another body", "another query", "another path"],
)
def test_a_key_belongs_to_one_request(
    client: TestClient, spec: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    assert client.post(JOBS, json=spec, headers=KEY).status_code == 201
    answer = client.post(path, json={**spec, **body}, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert "another request" in answer.json()["detail"]


def test_a_new_token_is_made_once_and_its_secret_is_nowhere_stored(
    here: TestClient, elsewhere: TestClient, service: Service, settings: Settings
) -> None:
    first = here.post(TOKENS, json={"name": "ci", "scope": "read"}, headers=KEY)
    assert first.status_code == 201
    for client in (elsewhere, here):
        again = client.post(TOKENS, json={"name": "ci", "scope": "read"}, headers=KEY)
        assert (again.status_code, again.headers["Content-Type"]) == (409, "application/problem+json")
        assert first.json()["id"] in again.json()["detail"]
        assert "Revoke the token" in again.json()["detail"]
        assert first.json()["secret"] not in again.text
    assert [token.name for token in service.access.tokens()].count("ci") == 1
    for file in settings.data_dir.parent.rglob("*"):
        assert not file.is_file() or first.json()["secret"].encode() not in file.read_bytes()


def test_a_token_that_a_dead_process_has_made_is_not_made_again(here: TestClient, service: Service) -> None:
    made = []
    create = service.access.create

    def dies(*arguments: Any, **named: Any) -> Any:
        made.append(create(*arguments, **named)[0])
        raise StoreUnavailable("the answer is lost")

    service.access.create = dies  # type: ignore[method-assign]
    assert here.post(TOKENS, json={"name": "ci", "scope": "read"}, headers=KEY).status_code == 503
    service.access.create = create  # type: ignore[method-assign]
    for _ in range(3):
        again = here.post(TOKENS, json={"name": "ci", "scope": "read"}, headers=KEY)
        assert (again.status_code, made[0].id in again.json()["detail"]) == (409, True)
    assert [token.id for token in service.access.tokens() if token.name == "ci"] == [made[0].id]


def test_actions_are_remembered_by_all_processes(here: TestClient, elsewhere: TestClient, job: Job) -> None:
    first = here.post(f"{JOBS}/{job.id}:pause", headers=KEY)
    assert elsewhere.post(f"{JOBS}/{job.id}:resume").status_code == 200
    again = elsewhere.post(f"{JOBS}/{job.id}:pause", headers=KEY)
    assert (again.status_code, again.json()) == (200, first.json())
    assert here.get(f"{JOBS}/{job.id}").json()["state"] == "QUEUED"


def test_tokens_of_one_name_have_keys_of_their_own(connect: Connect, service: Service, spec: dict[str, Any]) -> None:
    clients = [connect(Scope.SUBMIT) for _ in range(2)]
    assert [token.name for token in service.access.tokens()] == ["submit", "submit"]
    jobs = {client.post(JOBS, json=spec, headers=KEY).json()["id"] for client in clients}
    assert len(jobs) == 2


def test_raters_of_one_name_are_two(connect: Connect, service: Service, spec: dict[str, Any]) -> None:
    labels = TASK.validation({"name": "digits"}).labels
    other = labels.copy()
    other[:2] = (other[:2] + 1) % 10
    job = a_labelled_job(service, spec, [labels, other])
    path = f"{JOBS}/{job.id}"
    first, second = (connect(Scope.SUBMIT) for _ in range(2))
    assert first.post(f"{path}:relabel", json={}).status_code == 200
    question = first.get(f"{path}/relabelling/questions").json()["items"][0]
    for client, accepted in ((first, True), (second, False)):
        verdict = {"image": question["image"], "label": question["label"], "accepted": accepted}
        assert client.post(f"{path}/relabelling/verdicts", json=verdict, headers=KEY).status_code == 204
        assert client.get(f"{path}/relabelling/questions").json()["answered"] == 1
    raters = first.get(f"{path}/relabelling").json()["raters"]
    assert [rater["answered"] for rater in raters] == [1, 1]
    assert {rater["name"] for rater in raters} == {f"submit ({token.id})" for token in service.access.tokens()}


def test_a_request_under_way_is_refused_with_a_time_to_wait(
    client: TestClient, service: Service, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, may_end = threading.Event(), threading.Event()
    pause, calls = service.store.pause_job, []

    def slow(job_id: str) -> Job:
        calls.append(job_id)
        entered.set()
        assert may_end.wait(60)
        return pause(job_id)

    monkeypatch.setattr(service.store, "pause_job", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, f"{JOBS}/{job.id}:pause", headers=KEY)
        assert entered.wait(60)
        second = client.post(f"{JOBS}/{job.id}:pause", headers=KEY)
        may_end.set()
        assert first.result(60).status_code == 200
    assert (second.status_code, "still under way" in second.json()["detail"]) == (409, True)
    assert 1 <= int(second.headers["Retry-After"]) <= 5
    assert client.post(f"{JOBS}/{job.id}:pause", headers=KEY).json() == first.result().json()
    assert calls == [job.id]


def test_a_request_that_was_refused_may_be_corrected(client: TestClient, spec: dict[str, Any]) -> None:
    assert client.post(JOBS, json={**spec, "task": "unknown"}, headers=KEY).status_code == 422
    assert client.post(JOBS, json=spec, headers=KEY).status_code == 201
    key = {"Idempotency-Key": "another"}
    assert client.post(TOKENS, json={"name": ""}, headers=key).status_code == 422
    assert client.post(TOKENS, json={"name": "ci"}, headers=key).status_code == 201


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a fault of ours")])
def test_a_request_that_failed_after_it_was_done_is_not_done_again(
    client: TestClient, service: Service, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(service.store, "trial_counts_of", fails)  # read for the answer, after the job is stored
        assert client.post(JOBS, json=spec, headers=KEY).status_code in (500, 503)
    made = [client.post(JOBS, json=spec, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert {job.id for job in service.jobs.page().items} == {answer.json()["id"] for answer in made}
    assert len(service.jobs.page().items) == 1


def test_a_request_of_a_dead_process_is_carried_out_by_the_next(
    here: TestClient, service: Service, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = service.store.begin_request
    reserved = []

    def begun_before(request: RequestKey, held_seconds: float) -> Any:
        if not reserved:
            reserved.append(begin(request, 0.0))  # another process has begun it, and died
        return begin(request, held_seconds)

    monkeypatch.setattr(service.store, "begin_request", begun_before)
    answer = here.post(JOBS, json=spec, headers=KEY)
    assert (answer.status_code, answer.json()["id"]) == (201, reserved[0].id)


def test_a_key_without_a_valid_token_changes_nothing(connect: Connect, service: Service, spec: dict[str, Any]) -> None:
    nobody, reader = connect(None), connect(Scope.READ)
    assert nobody.post(JOBS, json=spec, headers=KEY).status_code == 401
    assert reader.post(JOBS, json=spec, headers=KEY).status_code == 403
    [token] = service.access.tokens()
    service.store.begin_request(RequestKey(replace(token), "once", "another"), 1.0)  # nothing is recorded


def test_the_body_of_a_stranger_is_not_read(app: FastAPI) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:8700"), (b"idempotency-key", b"k"), (b"authorization", b"Bearer ssvc_unknown")]
    scope = {"type": "http", "method": "POST", "path": JOBS, "query_string": b"", "headers": headers}
    asyncio.run(app({**scope, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 8700)}, receive, send))
    assert sent[0]["status"] == 401

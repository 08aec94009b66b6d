"""Bad input over REST: always a problem with message and place, never a stored object, never a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.rest.errors import MEDIA_TYPE
from searchsvc.domain import Job
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope

JOBS = "/api/v1/jobs"
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"colour": 1}, "/colour"),
        ({"seed": "seven"}, "/seed"),
        ({"seed": -1}, "/seed"),
        ({"budget": {"trials": 0}}, "/budget/trials"),
        ({"budget": {"trials": 1, "seconds": 0}}, "/budget/seconds"),
        ({"name": "../../etc"}, "/name"),
        ({"name": ""}, "/name"),
        ({"task": "telepathy"}, "/task"),
        ({"objectives": []}, "/objectives"),
        ({"objectives": [{"metric": "charm"}]}, "/objectives/0/metric"),
        ({"constraints": [{"metric": "flops", "max": 1}]}, "/constraints/0"),
        ({"space": {"parameters": []}}, "/space/parameters"),
        ({"space": {"name": "none-such"}}, "/space/name"),
        ({"algorithm": {"name": "magic"}}, "/algorithm/name"),
        ({"algorithm": {"name": "random", "speed": 3}}, "/algorithm/speed"),
        ({"stopping": {"name": "never"}}, "/stopping/name"),
        ({"dataset": {"name": "none-such"}}, "/dataset/name"),
        ({"dataset": {"format": "imagefolder", "path": "/etc"}}, "/dataset/path"),
        ({"dataset": {"format": "npz", "path": "../../../etc/passwd"}}, "/dataset/path"),
        ({"dataset": {"format": "npz", "path": "missing.npz"}}, "/dataset/path"),
        ({"fidelity": {"epochs": 10**9}}, "/fidelity/epochs"),
    ],
)
def test_each_fault_of_a_spec_is_named_by_its_pointer(
    client: TestClient, service: Service, spec: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    answer = client.post(JOBS, json={**spec, **change})
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert pointer in [one["pointer"] for one in answer.json()["errors"]], answer.text
    assert service.jobs.page().items == ()


@pytest.mark.parametrize(
    ("text", "headers", "status"),
    [
        ("", JSON, 400),
        ("{", JSON, 400),
        ("[" * 100_000, JSON, 400),
        ('{"a":' * 50_000, JSON, 400),
        ("9" * 10_000, JSON, 400),
        ('{"seed": NaN}', JSON, 400),
        ('{"seed": -Infinity}', JSON, 400),
        ('{"seed": 1, "seed": 2}', JSON, 400),
        (b'{"name": "\xff\xfe"}', JSON, 400),
        ('{"seed": 1e999}', JSON, 422),
        ('{"seed": 99999999999999999999999999999999999}', JSON, 422),
        ('{"name": "a\\u0000b"}', JSON, 422),
        ('{"name": "\\ud800"}', JSON, 422),
        ('{"\\ud800\\u0000": 1}', JSON, 422),
        ("null", JSON, 422),
        ("[1, 2]", JSON, 422),
        ("[" * 41 + "]" * 41, JSON, 422),
        (BOMB, YAML, 400),
        ("a: !!python/object/apply:os.system [ls]", YAML, 400),
        ("a: [1", YAML, 400),
        ("a: 1\na: 2", YAML, 400),
        ("seed: .nan", YAML, 400),
        ("- " * 500, YAML, 400),
        (b"\xff\xfe\x00", YAML, 400),
        ("{}", {"Content-Type": "text/plain"}, 415),
        ("{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ("{}", {"Content-Type": "application/json;charset=\xff"}, 422),
        ("{}", {}, 415),
    ],
    ids=range(28),
)
def test_a_body_that_cannot_be_read_is_refused(
    client: TestClient, service: Service, text: str | bytes, headers: dict[str, str], status: int
) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in (JOBS, "/api/v1/tokens"):
        answer = client.post(path, content=text, headers=encoded)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert service.jobs.page().items == ()


def test_ten_megabytes_are_refused_while_they_are_read(client: TestClient, service: Service) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 1
            yield b" " * 65_536

    announced = client.post(JOBS, content=b" " * 10_000_000, headers=JSON)
    chunked = client.post(JOBS, content=chunks(), headers=JSON)
    assert (announced.status_code, chunked.status_code) == (413, 413)
    assert chunked.json()["type"] == "/problems/too-large"
    assert service.jobs.page().items == ()


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0",
        "page_size=1001",
        "page_size=x",
        "state=NAP",
        "page_token=%00",
        "page_token=%FF",
        "page_token=x",
        "page_token=W10",
        f"page_token={'A' * 600}",
        f"page_size={'9' * 5000}",
        "name=%00&page_size=nan",
    ],
)
def test_absurd_parameters_are_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"{JOBS}?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith("/page_") or "state" in query


@pytest.mark.parametrize("path", ["%00", "%FF", "a%0Ab", "'; DROP TABLE jobs; --", "%F0%9F%98%80", "x" * 5000, "*"])
def test_absurd_ids_are_refused(client: TestClient, path: str) -> None:
    for below in ("", "/trials", "/trials/0", "/events", "/best", "/logs"):
        answer = client.get(f"{JOBS}/{path}{below}")
        assert answer.status_code in (404, 422), answer.text
        assert answer.headers["Content-Type"] == MEDIA_TYPE


@pytest.mark.parametrize("number", ["999999999", "9999999999999999999999", "-1", "1.5", "NaN", "%00"])
def test_absurd_trial_numbers_are_refused(client: TestClient, job: Job, number: str) -> None:
    assert client.get(f"{JOBS}/{job.id}/trials/{number}").status_code in (404, 422)


@pytest.mark.parametrize("header", ["x" * 300, "two words", "\xff", ""])
def test_absurd_idempotency_keys_are_refused(client: TestClient, spec: dict[str, Any], header: str) -> None:
    answer = client.post(JOBS, json=spec, headers={"Idempotency-Key": header.encode("latin-1")})
    assert answer.status_code == 422


@pytest.mark.parametrize("value", ["-1", "x", "9" * 30, "\x80", "1.0", ""])
def test_absurd_last_event_ids_are_refused(client: TestClient, job: Job, value: str) -> None:
    headers = {"Last-Event-ID": value.encode("latin-1"), "Accept": "text/event-stream"}
    assert client.get(f"{JOBS}/{job.id}/events", headers=headers).status_code == 422


def test_unknown_paths_and_methods_are_problems_too(client: TestClient, job: Job) -> None:
    missing, wrong = client.get("/nowhere/%7F"), client.put(f"{JOBS}/{job.id}")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.headers["Content-Type"] == wrong.headers["Content-Type"] == MEDIA_TYPE
    assert wrong.headers["Allow"]


def test_an_error_that_nobody_foresaw_is_a_problem_without_details(app: FastAPI, client: TestClient) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    app.get("/broken")(broken)
    answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    assert "secret" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_database_that_does_not_answer_is_503(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("no answer from db.internal")

    monkeypatch.setattr(service.store, "ping", down)
    monkeypatch.setattr(service.store, "jobs", down)
    for answer in (client.get("/readyz"), client.get(JOBS)):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "internal" not in answer.text
    assert client.get("/healthz").status_code == 200


def test_another_host_name_is_refused(connect: Callable[[Scope | None], TestClient]) -> None:
    client = connect(Scope.READ)
    for host in ("evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost@evil.example"):
        answer = client.get("/healthz", headers={"Host": host})
        assert answer.status_code == 421, host
    for host in ("localhost:1", "127.0.0.1", "[::1]:8700", "LOCALHOST"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200, host


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in (JOBS, "/nowhere", "/healthz", "/metrics"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"


def test_problems_are_json_whatever_the_path_holds(client: TestClient) -> None:
    answer = client.get("/api/v1/jobs/%ED%A0%80%22%0A")
    assert json.loads(answer.content)["status"] == answer.status_code

"""The life of a job through REST, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.pool import Pool

from searchsvc.domain import Job
from searchsvc.service.service import Service

JOBS = "/api/v1/jobs"
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.mark.parametrize("database_url", BOTH, indirect=True)
def test_a_job_is_made_run_read_and_deleted(
    client: TestClient, service: Service, spec: dict[str, Any], evaluate: Callable[..., list[str]]
) -> None:
    assert client.get("/readyz").status_code == 200
    headers = {"Idempotency-Key": "one"}
    made, again = (client.post(JOBS, json=spec, headers=headers).json() for _ in range(2))
    assert made["id"] == again["id"]
    job: Job = service.jobs.get(made["id"])
    ids = evaluate(job, 25)
    listed = client.get(f"{JOBS}/{job.id}/trials", params={"page_size": 20}).json()
    rest = client.get(
        f"{JOBS}/{job.id}/trials", params={"page_size": 20, "page_token": listed["next_page_token"]}
    ).json()
    assert [one["id"] for one in listed["items"] + rest["items"]] == ids
    assert client.post(f"{JOBS}/{job.id}:cancel").json()["state"] == "CANCELLED"
    stream = client.get(
        f"{JOBS}/{job.id}/events", params={"until_final": "true"}, headers={"Accept": "text/event-stream"}
    )
    assert stream.text.count("id: ") == len(service.events.read(job_id=job.id))
    assert 'searchsvc_trials{state="SUCCEEDED"} 25.0' in client.get("/metrics").text
    assert client.delete(f"{JOBS}/{job.id}").status_code == 204
    assert client.get(f"{JOBS}/{job.id}/events").status_code == 404


@pytest.mark.parametrize("database_url", BOTH, indirect=True)
@pytest.mark.parametrize("text", ["%00", "%F0%9F%98%80", "%EF%BF%BF", "'%22;--"])
def test_text_that_a_database_cannot_hold_is_never_a_failure(client: TestClient, text: str) -> None:
    for path in (f"{JOBS}?name={text}", f"{JOBS}/{text}", f"{JOBS}/a/export?format=csv&trial={text}"):
        assert client.get(path).status_code in (200, 404, 422), path


@pytest.mark.parametrize("database_url", BOTH, indirect=True)
def test_asking_whether_the_service_is_ready_opens_no_connections(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    opened: list[object] = []

    def note(connection: object, _record: object) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", note)
    try:
        assert {client.get("/readyz").status_code for _ in range(50)} == {200}
    finally:
        event.remove(Pool, "connect", note)
    assert opened == []

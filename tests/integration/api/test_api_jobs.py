"""Jobs over REST: submitted, read, controlled, deleted."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system import removal

JOBS = "/api/v1/jobs"
UNKNOWN = "0197a1f0-3c52-7c1e-9d5a-6f0f3b1c2d4e"


def test_a_submitted_job_is_where_location_says(client: TestClient, spec: dict[str, Any]) -> None:
    made = client.post(JOBS, json=spec)
    assert made.status_code == 201
    response = client.get(made.headers["Location"])
    assert response.json()["id"] == made.json()["id"]
    assert response.json()["state"] == "QUEUED"
    assert response.json()["created_at"].endswith("Z")
    assert response.json()["spec"]["budget"]["trials"] == 8


def test_a_spec_in_yaml_is_the_same_spec(client: TestClient, spec: dict[str, Any]) -> None:
    text = yaml.safe_dump(spec)
    made = client.post(JOBS, content=text, headers={"Content-Type": "application/yaml; charset=utf-8"})
    assert made.json()["spec"] == client.post(JOBS, json=spec).json()["spec"]


def test_validate_only_says_what_would_run_and_stores_nothing(
    client: TestClient, service: Service, spec: dict[str, Any]
) -> None:
    answer = client.post(JOBS, json=spec, params={"validate_only": "true"})
    assert answer.status_code == 200
    assert answer.json()["candidates"]
    assert answer.json()["dataset"]["name"] == "digits"
    assert service.jobs.page().items == ()
    assert service.events.last_sequence() == 0


def test_the_same_idempotency_key_makes_one_job(client: TestClient, service: Service, spec: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post(JOBS, json=spec, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert len(service.jobs.page().items) == 1
    other = client.post(JOBS, json={**spec, "seed": 5}, headers=headers)
    assert other.status_code == 409


def test_jobs_are_listed_by_state_and_name(client: TestClient, spec: dict[str, Any]) -> None:
    names = [client.post(JOBS, json={**spec, "name": name}).json()["id"] for name in ("a", "b", "b")]
    client.post(f"{JOBS}/{names[2]}:pause")
    listed = client.get(JOBS).json()["items"]
    assert [one["id"] for one in listed] == names[::-1]
    assert [one["id"] for one in client.get(JOBS, params={"name": "b"}).json()["items"]] == [names[2], names[1]]
    assert [one["id"] for one in client.get(JOBS, params={"state": "PAUSED"}).json()["items"]] == [names[2]]


@pytest.mark.parametrize(
    ("verbs", "state"),
    [(["pause"], "PAUSED"), (["pause", "resume"], "QUEUED"), (["stop"], "SUCCEEDED"), (["cancel"], "CANCELLED")],
)
def test_verbs_move_a_job(client: TestClient, job: Job, verbs: list[str], state: str) -> None:
    for verb in verbs:
        answer = client.post(f"{JOBS}/{job.id}:{verb}")
        assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == state


def test_a_verb_that_does_not_fit_is_a_conflict(client: TestClient, job: Job) -> None:
    answer = client.post(f"{JOBS}/{job.id}:retry")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/conflict"


def test_an_unknown_verb_is_refused(client: TestClient, job: Job) -> None:
    assert client.post(f"{JOBS}/{job.id}:explode").status_code in (404, 405)


def test_an_action_sent_again_with_its_key_is_not_done_again(client: TestClient, job: Job) -> None:
    headers = {"Idempotency-Key": "pause-once"}
    first = client.post(f"{JOBS}/{job.id}:pause", headers=headers)
    client.post(f"{JOBS}/{job.id}:resume")
    again = client.post(f"{JOBS}/{job.id}:pause", headers=headers)
    assert again.json() == first.json()
    assert client.get(f"{JOBS}/{job.id}").json()["state"] == "QUEUED"
    assert client.post(f"{JOBS}/{job.id}:cancel", headers=headers).status_code == 409


def test_extend_gives_new_totals(client: TestClient, job: Job) -> None:
    answer = client.post(f"{JOBS}/{job.id}:extend", json={"trials": 20})
    assert answer.json()["spec"]["budget"]["trials"] == 20
    smaller = client.post(f"{JOBS}/{job.id}:extend", json={"trials": 2})
    assert smaller.status_code == 422
    unknown = client.post(f"{JOBS}/{job.id}:extend", json={"trials": 30, "hours": 2})
    assert [one["pointer"] for one in unknown.json()["errors"]] == ["/hours"]


def test_clone_changes_what_the_patch_names(client: TestClient, service: Service, job: Job) -> None:
    headers = {"Idempotency-Key": "clone-once"}
    made = [client.post(f"{JOBS}/{job.id}:clone", json={"seed": 7}, headers=headers) for _ in range(2)]
    assert [one.status_code for one in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"] != job.id
    assert client.get(made[0].headers["Location"]).json()["spec"]["seed"] == 7
    assert service.jobs.get(made[0].json()["id"]).spec.dataset == job.spec.dataset
    assert client.post(f"{JOBS}/{job.id}:clone", json={"budget": {"trials": 0}}).json()["errors"] == [
        {"pointer": "/budget/trials", "message": "must be at least 1, not 0"}
    ]


def test_a_deleted_job_is_gone(client: TestClient, service: Service, job: Job) -> None:
    assert client.delete(f"{JOBS}/{job.id}").status_code == 204
    assert client.get(f"{JOBS}/{job.id}").status_code == 404
    assert client.delete(f"{JOBS}/{job.id}").status_code == 404
    assert service.store.jobs_to_remove() == []


def test_a_large_job_is_gone_when_the_answer_comes_although_its_rows_remain_for_the_controller(
    client: TestClient, service: Service, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "ROWS_REMOVED_AT_ONCE", 1)
    assert client.delete(f"{JOBS}/{job.id}").status_code == 204
    assert client.get(f"{JOBS}/{job.id}").status_code == 404
    assert service.store.jobs_to_remove() == [job.id]


def test_a_job_answers_to_its_name_and_the_beginning_of_its_id(client: TestClient, job: Job) -> None:
    assert client.get(f"{JOBS}/{job.name}").json()["id"] == job.id
    assert client.get(f"{JOBS}/{job.id[:13]}").json()["id"] == job.id
    assert client.get(f"{JOBS}/{UNKNOWN}").status_code == 404


@pytest.mark.parametrize("path", ["spaces", "algorithms", "stopping-rules", "datasets", "tasks"])
def test_tables_say_what_a_spec_may_name(client: TestClient, path: str) -> None:
    rows = client.get(f"/api/v1/{path}").json()["items"]
    assert rows
    assert all(row["name"] for row in rows)


def test_a_space_shows_its_parameters(client: TestClient) -> None:
    space = client.get("/api/v1/spaces/mbconv-small").json()
    assert len(space["parameters"]) == space["dimensions"]
    assert space["constants"] == {}
    assert client.get("/api/v1/spaces/fbnetv3").json()["constants"]["network"] == "fbnetv3"
    assert client.get("/api/v1/spaces/none-such").status_code == 404

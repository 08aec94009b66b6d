"""Trials over REST: pages, measurements, files, results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from searchsvc.domain import FileMade, Job
from searchsvc.service.service import Service

JOBS = "/api/v1/jobs"
Evaluate = Callable[..., list[str]]


def pages(client: TestClient, path: str, **parameters: object) -> list[dict[str, object]]:
    """Return the rows of all pages."""
    rows, token = [], None
    while True:
        more = {"page_token": token} if token else {}
        page = client.get(path, params={**parameters, **more}).json()
        rows += page["items"]
        token = page["next_page_token"]
        if token is None:
            return rows


def test_a_thousand_trials_come_page_by_page_without_loss_or_repetition(
    client: TestClient, job: Job, evaluate: Evaluate
) -> None:
    ids = evaluate(job, 1000)
    rows = pages(client, f"{JOBS}/{job.id}/trials", page_size=137)
    assert [row["id"] for row in rows] == ids
    newest = pages(client, f"{JOBS}/{job.id}/trials", page_size=400, order="newest", state="SUCCEEDED")
    assert [row["number"] for row in newest] == list(range(999, -1, -1))
    measured = pages(client, f"{JOBS}/{job.id}/measurements", page_size=1000)
    assert [row["trial"] for row in measured] == list(range(1000))
    events = pages(client, f"{JOBS}/{job.id}/events", page_size=999)
    sequences = [row["sequence"] for row in events]
    assert sequences == sorted(set(sequences))
    assert sum(row["kind"] == "trial.finished" for row in events) == 1000


def test_a_page_token_belongs_to_its_list(client: TestClient, job: Job, evaluate: Evaluate) -> None:
    evaluate(job, 3)
    token = client.get(f"{JOBS}/{job.id}/trials", params={"page_size": 1}).json()["next_page_token"]
    other = client.get(f"{JOBS}/{job.id}/trials", params={"page_token": token, "order": "newest"})
    assert other.status_code == 422
    assert other.json()["errors"][0]["pointer"] == "/page_token"


def test_the_best_come_first(client: TestClient, job: Job, evaluate: Evaluate) -> None:
    evaluate(job, 10)
    best = client.get(f"{JOBS}/{job.id}/best", params={"k": 3}).json()["items"]
    assert [row["metrics"]["accuracy"] for row in best] == [0.9, 0.8, 0.7]
    ordered = client.get(f"{JOBS}/{job.id}/trials", params={"order": "best", "page_size": 3}).json()["items"]
    assert ordered == best
    assert client.get(f"{JOBS}/{job.id}/pareto").json()["items"] == best[:1]
    detail = client.get(f"{JOBS}/{job.id}").json()
    assert detail["best"] == best[0]
    assert detail["trials"]["SUCCEEDED"] == 10


def test_a_trial_is_found_by_number_and_by_id(client: TestClient, job: Job, evaluate: Evaluate) -> None:
    ids = evaluate(job, 3)
    path = f"{JOBS}/{job.id}/trials"
    trial = client.get(f"{path}/1").json()
    assert trial["id"] == ids[1]
    assert trial == client.get(f"{path}/{ids[1]}").json() == client.get(f"/api/v1/trials/{ids[1]}").json()
    assert client.get(f"{path}/1/measurements").json()["items"][0]["metrics"]["loss"] == 1.0
    assert client.get(f"{path}/1/attempts").json()["items"][0]["state"] == "SUCCEEDED"
    assert client.get(f"{path}/3").status_code == 404


def test_a_trial_of_another_job_is_not_found_below_this_one(
    client: TestClient, service: Service, job: Job, evaluate: Evaluate
) -> None:
    other = service.jobs.clone(job.id, {"name": "other"})
    [trial] = evaluate(other, 1)
    assert client.get(f"{JOBS}/{job.id}/trials/{trial}").status_code == 404


def test_trials_stand_side_by_side(client: TestClient, job: Job, evaluate: Evaluate) -> None:
    ids = evaluate(job, 2)
    answer = client.get("/api/v1/trials:compare", params={"trials": [ids[0], f"{job.id}/1"]}).json()
    assert [one["id"] for one in answer["trials"]] == ids
    assert answer["parameters"]["lr"] == [1e-6, 2e-6]
    assert answer["differing"] == ["lr"]


def test_a_file_comes_whole_and_in_ranges(client: TestClient, service: Service, job: Job, evaluate: Evaluate) -> None:
    content = bytes(range(256)) * 40
    made = FileMade("model.safetensors", len(content), hashlib.sha256(content).hexdigest())
    [trial] = evaluate(job, 1, (made,))
    path = f"{JOBS}/{job.id}/trials/0/artifacts"
    assert client.get(f"{path}/model.safetensors").status_code == 404, "the record alone is no file"
    folder = service.settings.trial_dir(job.id, trial)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(content)
    assert client.get(path).json()["items"][0]["sha256"] == made.sha256
    whole = client.get(f"{path}/model.safetensors")
    assert whole.content == content
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["Content-Disposition"] == 'attachment; filename="model.safetensors"'
    part = client.get(f"{path}/model.safetensors", headers={"Range": "bytes=256-511"})
    assert (part.status_code, part.content) == (206, bytes(range(256)))


@pytest.mark.parametrize("name", ["..%2f..%2ftoken", "%252e%252e", "last.pt", "%00", "a%2f..%2fb"])
def test_no_name_reaches_a_file_that_is_no_artifact(
    client: TestClient, service: Service, job: Job, evaluate: Evaluate, name: str
) -> None:
    [trial] = evaluate(job, 1)
    folder = service.settings.trial_dir(job.id, trial)
    folder.mkdir(parents=True)
    (folder / "last.pt").write_bytes(b"checkpoint")
    assert client.get(f"{JOBS}/{job.id}/trials/0/artifacts/{name}").status_code in (404, 422)


def test_csv_and_spec_are_exported(client: TestClient, job: Job, evaluate: Evaluate) -> None:
    evaluate(job, 3)
    table = client.get(f"{JOBS}/{job.id}/export", params={"format": "csv"})
    assert table.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in table.headers["Content-Disposition"]
    assert len(table.text.strip().splitlines()) == 4
    assert client.get(f"{JOBS}/{job.id}/export", params={"format": "spec", "trial": "1"}).status_code == 200
    unknown = client.get(f"{JOBS}/{job.id}/export", params={"format": "exe"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/format")


def test_a_log_is_read_in_pieces(client: TestClient, service: Service, job: Job) -> None:
    assert client.get(f"{JOBS}/{job.id}/logs").status_code == 404
    service.settings.job_log(job.id).write_text("one\ntwo\n")
    first = client.get(f"{JOBS}/{job.id}/logs").json()
    assert first == {"text": "one\ntwo\n", "end": 8}
    with service.settings.job_log(job.id).open("a") as file:
        file.write("three\n")
    assert client.get(f"{JOBS}/{job.id}/logs", params={"offset": 8}).json()["text"] == "three\n"
    assert client.get(f"{JOBS}/{job.id}/logs", params={"lines": 1}).json()["text"] == "three\n"

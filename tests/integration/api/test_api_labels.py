"""Label reviews over REST."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from tests.integration.api.conftest import Connect
from tests.support.labels import a_labelled_job
from workers.tasks.classification import TASK


@pytest.fixture
def doubted(service: Service, spec: dict[str, Any]) -> Job:
    labels = TASK.validation({"name": "digits"}).labels
    other = labels.copy()
    other[:2] = (other[:2] + 1) % 10
    return a_labelled_job(service, spec, [labels, other])


def test_a_label_file_is_sent_and_the_ranking_comes_back(client: TestClient, doubted: Job) -> None:
    path = f"/api/v1/jobs/{doubted.id}:reassess"
    response = client.post(path, json={"labels": [[3]] * 1797, "k": 2}).json()
    assert (response["images"], response["counted"], response["k"]) == (287, 287, 2)
    assert {one["trial"] for one in response["items"]} == {0, 1}
    assert response["correlation"] is None
    wrong = client.post(path, json={"labels": [[3, "eleven"]] * 1797})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"].endswith("/1")
    assert wrong.json()["errors"][0]["pointer"].startswith("/labels/")


def test_questions_are_answered_by_the_owner_of_the_token(connect: Connect, service: Service, doubted: Job) -> None:
    path = f"/api/v1/jobs/{doubted.id}"
    submitter, reader = connect(Scope.SUBMIT), connect(Scope.READ)
    assert reader.post(f"{path}:relabel", json={}).status_code == 403
    assert reader.get(f"{path}/relabelling").status_code == 409
    assert submitter.post(f"{path}:relabel", json={}).json()["questions"] == 4
    [first, *_] = submitter.get(f"{path}/relabelling/questions", params={"limit": 1}).json()["items"]
    verdict = {"image": first["image"], "label": first["label"], "accepted": True}
    assert reader.post(f"{path}/relabelling/verdicts", json=verdict).status_code == 403
    assert submitter.post(f"{path}/relabelling/verdicts", json=verdict).status_code == 204
    assert submitter.get(f"{path}/relabelling/questions").json()["answered"] == 1
    assert reader.get(f"{path}/relabelling/questions").json()["answered"] == 0
    assert reader.get(f"{path}/relabelling").json()["raters"][0]["name"] == "submit"
    assert len(reader.get(f"{path}/relabelling/labels").json()["labels"]) == 287
    assert submitter.post(f"{path}/relabelling/verdicts", json={**verdict, "accepted": None}).status_code == 204
    assert service.store.verdicts(doubted.id) == []
    assert submitter.post(f"{path}/relabelling/verdicts", json={**verdict, "image": 250}).status_code == 404


def test_a_validation_image_is_a_png(client: TestClient, doubted: Job) -> None:
    path = f"/api/v1/jobs/{doubted.id}/relabelling/images"
    answer = client.get(f"{path}/0")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert client.get(f"{path}/287").status_code == 404

"""Whatever a worker or a user puts in the place of a file, no client receives the content of another file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from searchsvc.domain import FileMade, Job
from searchsvc.errors import InvalidInput
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from tests.integration.api.conftest import Connect, Evaluate
from tests.support.labels import a_labelled_job
from workers.tasks.classification import TASK

JOBS = "/api/v1/jobs"
Plant = Callable[[Path, Settings], object]
PLANTED: dict[str, Plant] = {
    "the local token": lambda path, settings: path.symlink_to(settings.token_path),
    "the local token, by a hard link": lambda path, settings: path.hardlink_to(settings.token_path),
    "the environment": lambda path, _: path.symlink_to("/proc/self/environ"),
    "the data folder": lambda path, settings: path.symlink_to(settings.data_dir),
    "a folder": lambda path, _: path.mkdir(),
    "a pipe": lambda path, _: os.mkfifo(path),
    "an endless device": lambda path, _: path.symlink_to("/dev/zero"),
}


@pytest.fixture
def reader(connect: Connect, service: Service) -> TestClient:
    service.access.local_token()
    return connect(Scope.READ)


def _trial_folder(service: Service, job: Job, trial: str) -> Path:
    folder = service.settings.trial_dir(job.id, trial)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_no_log_leads_elsewhere(
    reader: TestClient, service: Service, job: Job, evaluate: Evaluate, plant: Plant
) -> None:
    [trial] = evaluate(job, 1)
    plant(_trial_folder(service, job, trial) / "trial.log", service.settings)
    plant(service.settings.job_log(job.id), service.settings)
    for path in (f"{JOBS}/{job.id}/trials/0/logs", f"{JOBS}/{job.id}/logs"):
        answer = reader.get(path)
        assert answer.status_code == 404, answer.text
        assert "is not read: it " in answer.json()["detail"]


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_no_artifact_leads_elsewhere(
    reader: TestClient, service: Service, job: Job, evaluate: Evaluate, plant: Plant
) -> None:
    token = service.settings.token_path.read_bytes()
    # The worker knows the content, so that the stored digest does not give it away.
    names = ("model.safetensors", "predictions.npz")
    files = tuple(FileMade(name, len(token), hashlib.sha256(token).hexdigest()) for name in names)
    [trial] = evaluate(job, 1, files)
    folder = _trial_folder(service, job, trial)
    for name in names:
        plant(folder / name, service.settings)
    for path in (
        f"{JOBS}/{job.id}/trials/0/artifacts/model.safetensors",
        f"{JOBS}/{job.id}/export?format=weights",
        f"{JOBS}/{job.id}/export?format=onnx",
        f"{JOBS}/{job.id}/export?format=script",
    ):
        answer = reader.get(path)
        assert (answer.status_code, token in answer.content) == (404, False), answer.text
    answer = reader.post(f"{JOBS}/{job.id}:reassess", json={"labels": [[3]] * 1797})
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"no finished trial of job {job.name} has stored its predictions",
    )


def test_pretrained_weights_lead_nowhere_else(
    client: TestClient, service: Service, job: Job, evaluate: Evaluate, spec: dict[str, Any]
) -> None:
    [trial] = evaluate(job, 1, (FileMade("model.safetensors", 1, "0" * 64),))
    (_trial_folder(service, job, trial) / "model.safetensors").symlink_to(service.settings.database_url[10:])
    root = service.settings.data_roots[0]
    root.mkdir(parents=True)
    os.mkfifo(root / "pipe.safetensors")
    for source in ({"trial": trial}, {"file": "pipe.safetensors"}):
        document = {**spec, "pretrained": source, "space": {"name": "mbconv-small", "fix": {"init": "pretrained"}}}
        answer = client.post(JOBS, json=document)
        assert answer.status_code == 422
        assert {error["pointer"].rpartition("/")[0] for error in answer.json()["errors"]} == {"/pretrained"}


def _images(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(8):
            shade = 40 * (label == "dog") + number
            Image.fromarray(np.full((8, 8), shade, np.uint8)).save(folder / label / f"{number}.png")


@pytest.fixture
def image_job(settings: Settings, spec: dict[str, Any]) -> dict[str, Any]:
    """A job on an image folder below the data roots."""
    _images(settings.data_roots[0] / "pets")
    section = {"format": "imagefolder", "path": "pets", "size": 8, "color": False}
    return {**spec, "dataset": section}


def test_a_dataset_of_links_out_of_the_data_roots_is_refused(
    client: TestClient, settings: Settings, image_job: dict[str, Any], tmp_path: Path
) -> None:
    private = tmp_path / "private"
    _images(private)
    for memory in ({}, {"memory_bytes": 0}):
        for image in (settings.data_roots[0] / "pets" / "dog").iterdir():
            image.unlink()
            image.symlink_to(private / "dog" / image.name)
        document = {**image_job, "dataset": {**image_job["dataset"], **memory}}
        answer = client.post(JOBS, json=document)
        assert answer.status_code == 422
        errors = answer.json()["errors"]
        assert len(errors) == 8
        assert "dog/0.png is not read: it leads out of" in errors[0]["message"]
        assert "put a copy of the file there" in errors[0]["message"]
    own = {**document, "dataset": {**document["dataset"], "within": ["/"]}}
    assert client.post(JOBS, json=own).status_code == 422, "a client cannot name the roots"


def test_a_dataset_of_links_inside_the_data_roots_is_taken(
    client: TestClient, service: Service, settings: Settings, image_job: dict[str, Any]
) -> None:
    root = settings.data_roots[0]
    (root / "pets").rename(root / "originals")
    for original in (root / "originals").rglob("*.png"):
        link = root / "pets" / original.relative_to(root / "originals")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(original)
    job = client.post(JOBS, json=image_job).json()["id"]
    picture = client.get(f"{JOBS}/{job}/relabelling/images/0")
    assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")


@pytest.mark.parametrize("memory", [{}, {"memory_bytes": 0}])
def test_a_link_planted_after_the_submission_is_not_served(
    client: TestClient, settings: Settings, image_job: dict[str, Any], tmp_path: Path, memory: dict[str, int]
) -> None:
    _images(tmp_path / "private")
    job = client.post(JOBS, json={**image_job, "dataset": {**image_job["dataset"], **memory}}).json()["id"]
    pictures = [f"{JOBS}/{job}/relabelling/images/{number}" for number in range(2)]
    assert [client.get(path).status_code for path in pictures] == [200, 200]
    for image in (settings.data_roots[0] / "pets").rglob("*.png"):
        image.unlink()
        image.symlink_to(tmp_path / "private" / image.parent.name / image.name)
    for path in pictures:
        answer = client.get(path)
        assert answer.status_code == 409
        assert "leads out of" in answer.json()["detail"]


def test_the_dataset_of_a_trusted_user_may_consist_of_links(
    service: Service, image_job: dict[str, Any], tmp_path: Path
) -> None:
    _images(tmp_path / "private")
    (tmp_path / "own").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / "own" / label).mkdir()
        for image in (tmp_path / "private" / label).iterdir():
            (tmp_path / "own" / label / image.name).symlink_to(image)
    document = {**image_job, "dataset": {**image_job["dataset"], "path": str(tmp_path / "own")}}
    job, _ = service.jobs.submit(document, trusted=True)
    assert service.labels.picture(job.id, 0).startswith(b"\x89PNG")


def test_no_file_of_labels_leads_out_of_the_data_roots(
    client: TestClient, settings: Settings, image_job: dict[str, Any], tmp_path: Path
) -> None:
    labels = settings.data_roots[0] / "labels.json"
    labels.write_text(json.dumps([[0]] * 16))
    section = {**image_job["dataset"], "reassessed": "labels.json"}
    assert client.post(JOBS, json={**image_job, "dataset": section}).status_code == 201
    (tmp_path / "private.json").write_text(json.dumps([[1]] * 16))
    stored = {**section, "path": str(settings.data_roots[0] / "pets"), "reassessed": str(labels)}
    labels.unlink()
    labels.symlink_to(tmp_path / "private.json")
    assert client.post(JOBS, json={**image_job, "dataset": section}).status_code == 422
    confined = TASK.confined(stored, [str(settings.data_roots[0])])
    with pytest.raises(InvalidInput, match=r"reassessed: .*leads out of"):
        TASK.inspect(confined, 0)


def test_pictures_of_shipped_datasets_need_no_roots(client: TestClient, service: Service, spec: dict[str, Any]) -> None:
    job = a_labelled_job(service, spec, [TASK.validation({"name": "digits"}).labels])
    assert client.get(f"{JOBS}/{job.id}/relabelling/images/0").status_code == 200

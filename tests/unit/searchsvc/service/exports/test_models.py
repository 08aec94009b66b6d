"""Trained networks that a spec names are found, pinned, and refused if they are missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Job, JobSpec, ModelSource
from searchsvc.errors import InvalidInput
from searchsvc.service.exports import models
from searchsvc.service.exports.models import FoundModel
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service

Finished = Callable[..., Job]


@pytest.fixture
def find(service: Service) -> Callable[..., FoundModel]:
    def find(trusted: bool = True, **source: str) -> FoundModel:
        return models.find(
            ModelSource(**source), task=None, store=service.store, settings=service.settings, trusted=trusted
        )

    return find


@pytest.fixture
def weights(service: Service) -> Path:
    path = service.settings.data_roots[0] / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def test_a_job_is_its_best_trial_which_is_found_again(find: Callable[..., FoundModel], finished_job: Finished) -> None:
    job = finished_job(12)
    model = find(job=job.name)
    content = b"weights of trial 11"
    assert Path(model.weights.path).read_bytes() == content
    assert model.weights.sha256 == hashlib.sha256(content).hexdigest()
    assert model.source.job is None
    assert model.source.sha256 == model.weights.sha256
    assert find(**model.source.model_dump()) == model
    assert find(trial=f"{job.name}/3").weights != model.weights


def test_a_file_is_pinned_by_its_digest(find: Callable[..., FoundModel], weights: Path) -> None:
    model = find(file=weights.name, trusted=False)
    assert model.source == ModelSource(file=str(weights), sha256=hashlib.sha256(b"weights").hexdigest())
    weights.write_bytes(b"others")
    with pytest.raises(InvalidInput, match=r"/sha256: .* is not the file that was chosen"):
        find(**model.source.model_dump())


def test_what_is_not_there_is_named(
    service: Service, find: Callable[..., FoundModel], finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    wrong = {
        "/job: no job": {"job": "never"},
        "/trial: trial 4 of job digits is FAILED": {"trial": f"{job.name}/4"},
        "/trial: job digits has no trial": {"trial": f"{job.name}/99"},
        "/trial: trial 6 of job digits has no weights": {"trial": f"{job.name}/6"},
        "/file: there is no file": {"file": str(tmp_path / "none.pth")},
        "/file: .* cannot be read": {"file": str(tmp_path)},
        "/timm: the task has no published weights": {"timm": "resnet50"},
    }
    for message, source in wrong.items():
        with pytest.raises(InvalidInput, match=message):
            find(**source)
    with pytest.raises(InvalidInput, match="/file: must lie under one of the data roots"):
        find(file=str(tmp_path / "none.pth"), trusted=False)
    service.jobs.delete(job.id)
    with pytest.raises(InvalidInput, match="/job: no job"):
        find(job=job.name)


def test_damaged_weights_are_refused(service: Service, find: Callable[..., FoundModel], finished_job: Finished) -> None:
    job = finished_job(12)
    path = service.settings.artifacts_dir / service.trials.artifacts(f"{job.name}/11")[0].path
    path.write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match=r"/job: .* is damaged"):
        find(job=job.id)
    path.unlink()
    with pytest.raises(InvalidInput, match=r"/job: .* is not at .* any more"):
        find(job=job.id)


def test_a_spec_names_one_source(document: dict[str, Any]) -> None:
    for source in ({}, {"job": "a", "file": "b"}):
        with pytest.raises(InvalidInput, match="/pretrained: name one of job, trial, file, timm"):
            JobSpec.parse({**document, "pretrained": source})


def test_a_job_is_stored_with_the_trial_that_it_starts_from(
    service: Service, document: dict[str, Any], finished_job: Finished
) -> None:
    best = service.results.best(finished_job(12).id, 1)[0]
    job, _ = service.jobs.submit({**document, "name": "next", "pretrained": {"job": "digits"}})
    assert job.spec.pretrained is not None
    assert job.spec.pretrained.trial == best.id
    blueprint = resolve(job.spec, trusted=True, settings=service.settings, store=service.store)
    assert blueprint.pretrained is not None
    assert Path(blueprint.pretrained.path).read_bytes() == b"weights of trial 11"
    assert service.jobs.clone(job.id, {"name": "again"}).spec.pretrained == job.spec.pretrained


def test_faults_of_the_source_are_told_with_the_others(service: Service, document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as raised:
        service.jobs.submit({**document, "pretrained": {"job": "never"}, "algorithm": {"name": "none"}})
    assert {one.pointer for one in raised.value.faults} >= {"/pretrained/job", "/algorithm/name"}

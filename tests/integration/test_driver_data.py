"""Data that change between two drivers of a job: the job pauses until the user puts them back or consents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Budget, Job, JobState
from searchsvc.service.lookup.pins import pins_of
from tests.support.driving import Rig, a_spec, assert_complete


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data.bin"
    data.write_bytes(b"first")
    return data


def submit(rig: Rig, data: Path, **changes: Any) -> Job:
    job = rig.submit(a_spec(trials=2, epochs=1, dataset={"format": "any", "path": str(data)}, **changes))
    assert pins_of(job.spec).keys() == {"/dataset/path"}
    return job


def ended(rig: Rig, job: Job) -> Job:
    return rig.finish(rig.start(job), job)


def test_a_driver_on_other_data_pauses_the_job_until_the_user_consents(rig: Rig, data: Path) -> None:
    job = submit(rig, data)
    assert ended(rig, job).state is JobState.SUCCEEDED
    assert rig.store.job(job.id).data_pins == pins_of(job.spec)
    data.write_bytes(b"second")
    rig.store.extend_job(job.id, Budget(trials=3))
    paused = ended(rig, job)
    assert paused.state is JobState.PAUSED
    assert str(paused.reason).startswith(f"{data} (/dataset/path) has changed; ")
    assert f"searchctl resume {job.id} --accept-data" in str(paused.reason)
    assert len(rig.events(job, "job.data_changed")) == 1
    assert len(rig.trials(job)) == 2
    rig.store.resume_job(job.id)
    assert ended(rig, job).state is JobState.PAUSED
    rig.store.resume_job(job.id, accept_data=True)
    job = ended(rig, job)
    assert_complete(rig, job, trials=3, epochs=1)
    assert (job.data_pins, job.reason) == (pins_of(job.spec), None)
    assert len(rig.events(job, "job.data_accepted")) == 1


def test_a_job_goes_on_when_the_old_data_are_back(rig: Rig, data: Path) -> None:
    job = submit(rig, data)
    assert ended(rig, job).state is JobState.SUCCEEDED
    moved = data.rename(data.with_name("moved"))
    rig.store.extend_job(job.id, Budget(trials=3))
    paused = ended(rig, job)
    assert (paused.state, "is missing" in str(paused.reason)) == (JobState.PAUSED, True)
    moved.rename(data)
    rig.store.resume_job(job.id)
    assert_complete(rig, ended(rig, job), trials=3, epochs=1)


def test_an_extension_may_consent_at_once(rig: Rig, data: Path) -> None:
    job = submit(rig, data)
    assert ended(rig, job).state is JobState.SUCCEEDED
    data.write_bytes(b"second")
    rig.store.extend_job(job.id, Budget(trials=3), accept_data=True)
    assert_complete(rig, ended(rig, job), trials=3, epochs=1)


def test_a_stopping_job_ends_on_other_data_with_what_it_has(rig: Rig, data: Path) -> None:
    job = submit(rig, data, seconds=600.0)
    driver = rig.start(job)
    rig.wait(lambda: rig.events(job, "trial.started"))
    rig.kill(driver)
    data.write_bytes(b"second")
    rig.store.stop_job(job.id)
    assert ended(rig, job).state is JobState.SUCCEEDED
    assert len(rig.events(job, "job.data_changed")) == 1

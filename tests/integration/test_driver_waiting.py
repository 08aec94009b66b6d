"""A driver that cannot reach Ray: it says so, uses none of the job's time, and hears every request."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Job, JobState, TrialState
from tests.support.driving import Rig, a_spec, assert_complete
from tests.support.jobs import add_trials
from tests.support.postgres import free_port


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A rig whose Ray does not exist: its port is closed."""
    rig = Rig(tmp_path, ray_address=f"127.0.0.1:{free_port()}")
    yield rig
    rig.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Rig]:
    """A rig whose Ray accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        rig = Rig(tmp_path, ray_address=f"127.0.0.1:{server.getsockname()[1]}")
        yield rig
        rig.close()


def a_waiting_job(rig: Rig) -> Job:
    job = rig.submit(a_spec(trials=2, epochs=1, budget={"trials": 2, "seconds": 60}))
    rig.start(job)
    return wait_for_reason(rig, job)


def wait_for_reason(rig: Rig, job: Job) -> Job:
    waiting: Job = rig.wait(lambda: stored if (stored := rig.store.job(job.id)).reason else None)
    assert (waiting.state, waiting.seconds_used) == (JobState.RUNNING, 0)
    assert waiting.reason is not None
    assert waiting.reason.startswith(f"waits for Ray at {rig.settings.ray_address}: ")
    assert [event.data["reason"] for event in rig.events(job, "job.waiting")] == [waiting.reason]
    return waiting


@pytest.mark.parametrize(
    ("verb", "state"),
    [("pause_job", JobState.PAUSED), ("cancel_job", JobState.CANCELLED), ("stop_job", JobState.SUCCEEDED)],
)
def test_requests_end_a_job_that_waits_for_ray(rig: Rig, verb: str, state: JobState) -> None:
    job = a_waiting_job(rig)
    getattr(rig.store, verb)(job.id)
    ended = rig.finish(rig.drivers[-1], job)
    assert (ended.state, ended.seconds_used, ended.reason) == (state, 0, None)
    assert rig.store.leases() == []


def test_a_port_that_never_answers_is_waited_for_as_well(silent: Rig) -> None:
    job = a_waiting_job(silent)
    assert str(job.reason).endswith("no answer within 3 s")
    silent.store.cancel_job(job.id)
    assert silent.finish(silent.drivers[-1], job).state is JobState.CANCELLED


def test_sigterm_gives_a_job_back_that_waits_for_ray(silent: Rig) -> None:
    job = a_waiting_job(silent)
    silent.drivers[-1].send_signal(signal.SIGTERM)
    assert silent.finish(silent.drivers[-1], job).state is JobState.QUEUED


def test_a_stop_keeps_the_results_of_earlier_drivers(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=9, epochs=1))
    claimed = rig.store.claim_job(job.id, "an earlier driver", 60.0)
    assert claimed is not None
    add_trials(rig.store, claimed[1], 1)
    rig.start(job)
    wait_for_reason(rig, job)
    rig.store.stop_job(job.id)
    assert rig.finish(rig.drivers[-1], job).state is JobState.SUCCEEDED
    assert [trial.state for trial in rig.trials(job)] == [TrialState.CANCELLED]


def test_a_job_goes_on_when_ray_appears(rig: Rig) -> None:
    job = a_waiting_job(rig)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        address = str(rig.settings.ray_address)
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--num-cpus=1"]
        command += ["--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}", f"--temp-dir={folder}"]
        command += ["--include-dashboard=false", "--disable-usage-stats", "--object-store-memory=80000000"]
        with (rig.settings.data_dir / "head.log").open("wb") as log:
            head = subprocess.Popen(command, env=rig.environment, stdout=log, stderr=log)
        try:
            job = rig.finish(rig.drivers[-1], job, timeout=120)
        finally:
            head.terminate()
            head.wait(60)
    assert_complete(rig, job, trials=2, epochs=1)
    assert job.reason is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "no-such-task"}, "no task 'no-such-task'"),
        ({"dataset": {"format": "npz", "path": "/no/such/file.npz"}}, "there is no file or folder /no/such/file.npz"),
        ({"algorithm": {"name": "no-such-algorithm"}}, "no-such-algorithm"),
    ],
)
def test_an_error_that_cannot_succeed_ends_the_job_at_once(rig: Rig, changes: dict[str, Any], words: str) -> None:
    job = rig.submit(a_spec(trials=1) | changes)
    ended = rig.finish(rig.start(job), job)  # although there is no Ray
    assert ended.state is JobState.FAILED
    assert words in str(ended.reason)
    assert rig.events(job, "job.driver_crashed") == []

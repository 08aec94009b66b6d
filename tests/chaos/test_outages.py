"""Outages under a running job: a database that can only be read, a Ray head that is restarted."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searchsvc.domain import Job, JobState
from tests.support import ray_nodes
from tests.support.driving import a_spec
from tests.support.guarantees import (
    assert_artifacts_as_stored,
    assert_each_claim_ends_the_attempts_before_it,
    assert_nothing_lost_and_nothing_twice,
    assert_proposals_as_if_undisturbed,
)
from tests.support.postgres import PostgresServer, free_port
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(480)]
TRIALS, EPOCHS, ATTEMPTS = 16, 6, {"attempts": 20}
LEASES = 2.5
"""The database is out of order for this many times as long as a lease lasts."""


def a_running_job(system: System) -> Job:
    job = system.submit(a_spec(trials=TRIALS, epochs=EPOCHS, seconds=0.3, resources=ATTEMPTS))
    system.start_controller()
    system.seconds_until_work(job.id, after=0, claimed_anew=True)
    return job


def finish(system: System, job: Job) -> None:
    """Wait for the end of the job, and check every promise about it."""
    wait_for(lambda: system.store.job(job.id).state.is_final, seconds=120, message="the job does not end")
    assert_nothing_lost_and_nothing_twice(system.store, job.id, trials=TRIALS, epochs=EPOCHS)
    assert_proposals_as_if_undisturbed(system.store, job.id, system.settings)
    assert_each_claim_ends_the_attempts_before_it(system.events(job.id))
    assert_artifacts_as_stored(system.store, job.id, system.settings)


# ---- a database that can only be read ------------------------------------------------------------------------------


@contextmanager
def read_only(server: PostgresServer, url: str) -> Iterator[None]:
    """Refuse all writes to a database, as the standby does that a failover leads to."""
    name = url.rsplit("/", 1)[1]
    sessions = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    for change in ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"):
        server.execute(f'ALTER DATABASE "{name}" {change}')
        server.execute(sessions)
        if change.startswith("SET"):
            yield


def test_drivers_and_controller_outlive_a_database_that_can_only_be_read(
    system: System, postgres_server: PostgresServer
) -> None:
    job = a_running_job(system)
    with read_only(postgres_server, system.settings.database_url):
        time.sleep(LEASES * system.settings.lease_seconds)
        with system.client() as client:
            assert client.get(f"/jobs/{job.id}")["state"] == "RUNNING"
        assert system.is_running("controller")
        last = system.store.last_sequence()
    system.seconds_until_work(job.id, after=last, claimed_anew=False)
    finish(system, job)
    assert [event.data["epoch"] for event in system.events(job.id, "job.claimed")] == [1]
    assert system.is_running("controller")
    later = system.submit(a_spec(trials=1, epochs=1))
    wait_for(lambda: system.store.job(later.id).state is JobState.SUCCEEDED, seconds=60, message="no later job is run")


# ---- a Ray head that is restarted ----------------------------------------------------------------------------------


class Head:
    """A cluster of a single node, which keeps its address when it is restarted."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._folder, self._environment, self._port = folder, ray_nodes.packages(data_dir), free_port()
        self._node: subprocess.Popen[bytes] | None = None
        self.start()
        self.address = ray_nodes.address_of_head(folder)

    def start(self) -> None:
        self._node = ray_nodes.start_head(self._folder, "--num-cpus=2", port=self._port, **self._environment)

    def kill(self) -> None:
        if self._node is not None:
            ray_nodes.end(self._node)
            self._node = None


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", ray_nodes.TOKEN)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        started = Head(Path(folder), tmp_path / "data")
        yield started
        started.kill()


def test_a_job_goes_on_after_each_restart_of_the_ray_head(
    head: Head, postgres_url: str, start_system: Callable[..., System]
) -> None:
    system = start_system(postgres_url, ray_address=head.address)
    job = a_running_job(system)
    for _ in range(2):
        head.kill()
        wait_for(lambda: waits_for_ray(system, job), seconds=60, message="the job does not say that it waits for Ray")
        last = system.store.last_sequence()
        head.start()
        system.seconds_until_work(job.id, after=last, claimed_anew=False)
    assert not system.store.job(job.id).state.is_final, "the job ended before the last restart"
    finish(system, job)


def waits_for_ray(system: System, job: Job) -> bool:
    stored = system.store.job(job.id)
    assert stored.state is JobState.RUNNING, stored.reason
    return (stored.reason or "").startswith("waits for Ray at ")

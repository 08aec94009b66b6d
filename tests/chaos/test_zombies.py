"""Workers of a machine that was frozen, replaced, and wakes up: they change nothing that is newer."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from searchsvc.checksums import sha256_of
from searchsvc.domain import FailureKind, Job, JobState, TrialState
from tests.support import ray_nodes
from tests.support.driving import Rig, a_spec, assert_complete
from tests.support.guarantees import assert_artifacts_as_stored, assert_each_claim_ends_the_attempts_before_it
from tests.support.tasks import CHECKPOINT
from workers.trials.files import LOG

pytestmark = [pytest.mark.chaos, pytest.mark.slow]
HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
"""A head that gives up a silent node after seconds."""
EPOCHS = 6


class Frozen:
    """A node whose processes were all stopped at once."""

    def __init__(self, node: subprocess.Popen[bytes]) -> None:
        self._processes = ray_nodes.processes(node)
        for process in self._processes:
            process.suspend()

    def wake(self, pid: int) -> psutil.Process:
        """Let a single process go on."""
        [process] = [one for one in self._processes if one.pid == pid]
        process.resume()
        return process

    def wake_all(self) -> None:
        for process in self._processes:
            if process.is_running():
                process.resume()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rig, subprocess.Popen[bytes]]]:
    """A head without CPUs, and a node with one."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", ray_nodes.TOKEN)
    environment = ray_nodes.packages(tmp_path / "data") | HEALTH_CHECKS
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:
        head = ray_nodes.start_head(Path(folder), "--num-cpus=0", **environment)
        address = ray_nodes.address_of_head(Path(folder))
        node = ray_nodes.start(f"--address={address}", "--num-cpus=1", **environment)
        rig = Rig(tmp_path / "data", ray_address=address)
        yield rig, node
        rig.close()
        ray_nodes.end(node)
        ray_nodes.end(head)


def freeze_within_an_epoch(rig: Rig, job: Job, node: subprocess.Popen[bytes]) -> tuple[Frozen, int]:
    """Freeze a node while its worker trains an epoch after the first; return it with the pid of the worker."""
    while True:
        rig.wait_for_measurements(job, 2)
        frozen = Frozen(node)
        [trial] = rig.trials(job)
        [attempt] = rig.store.attempts(trial.id)
        assert (attempt.state, attempt.pid is None) == (TrialState.RUNNING, False), "the trial ended too soon"
        if begun_and_ended(rig, job):
            return frozen, int(str(attempt.pid))
        frozen.wake_all()


def begun_and_ended(rig: Rig, job: Job) -> bool:
    """Return whether the scripted task has begun more epochs than it has stored."""
    folder = rig.settings.artifacts_dir / job.id
    [begun], [stored] = folder.rglob("epochs.txt"), folder.rglob(CHECKPOINT)
    return len(begun.read_text().splitlines()) > int(stored.read_text())


def digests(rig: Rig, job: Job) -> dict[Path, str]:
    """Return the digest of each file of the job that a later attempt than the first has written, except the log."""
    folder = rig.settings.artifacts_dir / job.id
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and path.name != LOG}
    return {name: sha256_of(path) for name, path in files.items() if name.parts[1] != "1"}


def log_of(rig: Rig, job: Job) -> str:
    [trial] = rig.trials(job)
    return (rig.settings.trial_dir(job.id, trial.id) / LOG).read_text()


def test_a_worker_that_wakes_up_after_its_trial_has_ended_elsewhere_changes_nothing(
    cluster: tuple[Rig, subprocess.Popen[bytes]],
) -> None:
    rig, node = cluster
    job = rig.submit(a_spec(trials=1, epochs=EPOCHS, seconds=1.0, fate="fine"))
    driver = rig.start(job)
    frozen, pid = freeze_within_an_epoch(rig, job, node)
    address, environment = f"--address={rig.settings.ray_address}", ray_nodes.packages(rig.settings.data_dir)
    other = ray_nodes.start(address, "--num-cpus=1", **environment)
    try:
        assert rig.finish(driver, job).state is JobState.SUCCEEDED
        events, files, log = rig.all_events(job), digests(rig, job), log_of(rig, job)
        assert files
        zombie = frozen.wake(pid)
        rig.wait(lambda: log_of(rig, job) != log)  # the zombie has ended its epoch
        frozen.wake_all()
        rig.wait(lambda: not zombie.is_running() or zombie.status() == psutil.STATUS_ZOMBIE)
    finally:
        frozen.wake_all()
        ray_nodes.end(other)
    assert digests(rig, job) == files
    assert rig.all_events(job) == events
    [trial] = rig.trials(job)
    ends = [(one.state, one.failure) for one in rig.store.attempts(trial.id)]
    assert ends == [(TrialState.FAILED, FailureKind.LOST), (TrialState.SUCCEEDED, None)]
    assert_complete(rig, job, trials=1, epochs=EPOCHS)
    assert_each_claim_ends_the_attempts_before_it(events)
    assert_artifacts_as_stored(rig.store, job.id, rig.settings)

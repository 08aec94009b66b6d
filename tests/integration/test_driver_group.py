"""Supernets with two processes on a real local Ray: their shared measurements, and the end of both if either ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from searchsvc.domain import FailureKind, Job, JobState, TrialState
from tests.support.driving import Rig, a_spec

WORKERS = 2
EPOCHS = 4
"""Epochs of a supernet: twice those of a trial."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def a_group_spec(**changes: Any) -> dict[str, Any]:
    algorithm = {"name": "autohas", "finalists": 2, "basis_values": 3}
    resources = {"workers": WORKERS}
    return a_spec(task="together", trials=3, epochs=EPOCHS // 2, algorithm=algorithm, resources=resources, **changes)


def processes(rig: Rig, job: Job) -> list[tuple[int, int, int]]:
    """Return (attempt, rank, pid) of all processes of the supernet so far."""
    supernet = rig.trials(job)[0]
    lines = (rig.folder(job, supernet) / "processes.txt").read_text().splitlines()
    return [(int(attempt), int(rank), int(pid)) for attempt, rank, pid in map(str.split, lines)]


def assert_they_end(rig: Rig, job: Job, *, until: int = 100) -> None:
    """Wait until the processes of all attempts before number `until` have ended."""
    pids = [pid for attempt, _, pid in processes(rig, job) if attempt < until]
    rig.wait(lambda: not any(map(psutil.pid_exists, pids)), timeout=10.0)


def test_a_killed_peer_costs_an_attempt_and_the_next_goes_on_from_the_checkpoint(rig: Rig) -> None:
    job = rig.run(a_group_spec(supernet="crash", strikes=1))
    supernet, *finalists = rig.trials(job)
    first, second = rig.store.attempts(supernet.id)
    assert (first.state, first.failure) == (TrialState.FAILED, FailureKind.LOST)
    assert first.message is not None
    assert first.message.startswith("a process of the supernet was lost: The actor died unexpectedly")
    assert second.state is TrialState.SUCCEEDED
    pids = processes(rig, job)
    assert sorted((attempt, rank) for attempt, rank, _ in pids) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    measured = rig.store.measurements(supernet.id)
    assert [(one.step, one.metrics["reward"]) for one in measured] == [(step, 1.5 * step) for step in (1, 2, 3, 4)]
    assert [one.state for one in finalists] == [TrialState.SUCCEEDED] * 2
    assert job.state is JobState.SUCCEEDED
    assert_they_end(rig, job)


def test_what_goes_wrong_in_a_peer_is_told_as_it_was_there(rig: Rig) -> None:
    job = rig.run(a_group_spec(supernet="error"))
    (supernet,) = rig.trials(job)
    (attempt,) = rig.store.attempts(supernet.id)
    assert (supernet.state, attempt.failure) == (TrialState.FAILED, FailureKind.ERROR)
    assert job.reason is not None
    assert job.reason.endswith("ValueError: this network cannot be built")
    assert_they_end(rig, job)


@pytest.mark.chaos
def test_all_processes_end_with_the_driver_with_rank_0_and_with_the_job(rig: Rig) -> None:
    job = rig.submit(a_group_spec(seconds=0.5))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 1)
    rig.kill(driver)
    assert_they_end(rig, job)

    driver = rig.start(job)
    rig.wait_for_measurements(job, 2)
    psutil.Process(next(pid for attempt, rank, pid in processes(rig, job) if (attempt, rank) == (2, 0))).kill()
    rig.wait(lambda: len({attempt for attempt, _, _ in processes(rig, job)}) == 3)
    assert_they_end(rig, job, until=3)

    rig.store.cancel_job(job.id)
    assert rig.finish(driver, job).state is JobState.CANCELLED
    assert_they_end(rig, job)

"""kill -9 at random moments: nothing is lost, nothing counts twice, and the search is the same as without kills."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import psutil
import pytest

from searchsvc.domain import Job, JobState
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from tests.support.driving import Rig, a_spec, assert_complete
from workers import cluster

pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def assert_same_search(rig: Rig, job: Job) -> None:
    """A new algorithm, told the same results in the same order, proposes the same candidates."""
    proposer = make_proposer(resolve(job.spec, trusted=True, settings=rig.settings))
    trials = rig.trials(job)
    ended = sorted((trial for trial in trials if trial.told is not None), key=lambda trial: trial.told or 0)
    for trial in trials:
        while ended and (ended[0].told or 0) < trial.proposal.told:
            proposer.tell(ended[0].number, ended[0].observation())
            ended.pop(0)
        assert proposer.propose(1)[0].candidate == trial.proposal.candidate


@pytest.mark.timeout(200)
def test_a_killed_driver_resumes_with_the_same_proposals(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = random.Random(7)
    job = rig.submit(a_spec(trials=16, epochs=3, seconds=0.15, algorithm={"name": "tpe"}))
    for _ in range(3):
        driver = rig.start(job)
        before = len(rig.store.job_measurements(job.id, after=0, limit=1000))
        rig.wait_for_measurements(job, before + 3)
        time.sleep(moments.uniform(0.0, 1.0))
        rig.kill(driver)
    job = rig.finish(rig.start(job), job)
    assert_complete(rig, job, trials=16, epochs=3)
    monkeypatch.syspath_prepend(rig.environment["PYTHONPATH"].split(":")[0])
    assert_same_search(rig, job)


def test_killed_workers_are_replaced(rig: Rig) -> None:
    moments = random.Random(3)
    job = rig.submit(a_spec(trials=10, epochs=3, seconds=0.3, resources={"attempts": 10}))
    driver = rig.start(job)
    for _ in range(3):
        before = len(rig.store.job_measurements(job.id, after=0, limit=1000))
        rig.wait_for_measurements(job, before + 2)
        time.sleep(moments.uniform(0.0, 0.5))
        for worker in _workers(rig)[:1]:
            worker.kill()
    assert_complete(rig, rig.finish(driver, job), trials=10, epochs=3)


def test_a_killed_head_is_replaced_and_the_search_goes_on(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=4, epochs=3, seconds=0.5))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 2)
    for process in cluster.processes(rig.settings):
        if process.name() in ("gcs_server", "raylet"):
            process.kill()
    assert driver.wait(30) != 0  # the controller then starts another driver
    assert_complete(rig, rig.finish(rig.start(job), job), trials=4, epochs=3)


def test_a_killed_driver_is_followed_by_one_with_the_same_proposals(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=4, epochs=6, seconds=1.0))
    driver = rig.start(job)
    rig.wait_for_measurements(job, 3)
    rig.kill(driver)
    proposals = [trial.proposal for trial in rig.trials(job)]
    follower = rig.start(job)
    rig.wait(lambda: any(rig.store.attempts(one.id)[1:] for one in rig.trials(job)))
    assert [trial.proposal for trial in rig.trials(job)][: len(proposals)] == proposals
    assert rig.events(job, "algorithm.diverged") == []
    rig.store.cancel_job(job.id)
    assert rig.finish(follower, job).state is JobState.CANCELLED


def _workers(rig: Rig) -> list[psutil.Process]:
    """Return the processes of Ray that run trials of this rig."""
    folder = str(rig.settings.data_dir / "packages")
    workers = [one for one in psutil.process_iter(["cmdline"]) if "ray::Worker" in " ".join(one.info["cmdline"] or ())]
    return [one for one in workers if folder in one.environ().get("PYTHONPATH", "")]

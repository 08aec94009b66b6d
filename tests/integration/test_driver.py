"""Searches on a real local Ray: their ends, and trials that fail in every possible way."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from searchsvc.controller.drivers import Standby
from searchsvc.domain import FailureKind, JobState, TrialState
from tests.support.driving import Rig, a_spec, assert_complete
from workers.driver.trial_queue import RECYCLE_ATTEMPTS

NOTE_SIZES = """
import psutil
from workers.driver.ledger import Ledger

finish = Ledger.finish

def finish_and_note(self, trial, outcome):
    ended = finish(self, trial, outcome)
    with open({file!r}, "a") as file:
        print(psutil.Process().memory_info().rss, file=file)
    return ended

Ledger.finish = finish_and_note
"""
"""Code that makes a driver write its resident memory, in bytes, to a file after each trial."""

OUT_OF_MEMORY = """
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError

resolved, results = RayActorManager._actor_task_resolved, []

def resolve(self, tracked_actor_task, result):
    results.append(result)
    if len(results) == 3:
        self._actor_task_failed(tracked_actor_task, OutOfMemoryError("the node ran low on memory"))
    else:
        resolved(self, tracked_actor_task, result)

RayActorManager._actor_task_resolved = resolve
"""
"""Code that lets the third result of a driver's workers be lost, along with its process, for lack of memory."""

DAMAGED_WEIGHTS = """
from workers.driver.trial_queue import TrialQueue

test = TrialQueue._next_test

def damage_and_test(self, key, untested):
    for artifact in self._store.artifacts(untested[0].id):
        (self._tasks.folder.parent / artifact.path).write_text("other weights")
    return test(self, key, untested)

TrialQueue._next_test = damage_and_test
"""
"""Code that damages the weights of a winner before they are measured on the test split."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def test_a_search_ends_with_exactly_its_budget_and_tests_only_the_winner(rig: Rig) -> None:
    job = rig.run(a_spec(trials=5, epochs=3))
    assert_complete(rig, job, trials=5, epochs=3)
    best = max(rig.trials(job), key=lambda trial: trial.values["x"])
    tested = [trial for trial in rig.trials(job) if trial.test_metrics is not None]
    assert [trial.number for trial in tested] == [best.number]
    assert [artifact.name for artifact in rig.store.artifacts(best.id)] == ["model.safetensors"]


def test_a_driver_that_waited_runs_its_job_as_any_other(rig: Rig) -> None:
    standby = Standby([sys.executable, "-m", "workers.driver"], rig.environment, rig.settings.logs_dir / "standby.log")
    standby.prepare()
    job = rig.submit(a_spec(trials=2, epochs=2))
    claimed = rig.store.claim_job(job.id, "the test", 60.0)
    assert claimed is not None
    driver = standby.take(claimed[1], rig.settings.job_log(job.id))
    assert driver is not None
    assert_complete(rig, rig.finish(driver.process, job), trials=2, epochs=2)
    assert "the job ended: SUCCEEDED" in driver.tail()


def test_every_attempt_says_where_it_ran(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=1))
    attempts = [one for trial in rig.trials(job) for one in rig.store.attempts(trial.id)]
    assert len(attempts) == 2
    assert all(one.pid and one.node and one.node.endswith(" 127.0.0.1") for one in attempts)


def test_with_two_objectives_the_whole_pareto_front_is_tested(rig: Rig) -> None:
    objectives = [{"metric": "score"}, {"metric": "cost", "goal": "minimize"}]  # every x is a trade-off
    job = rig.run(a_spec(trials=3, epochs=1, objectives=objectives))
    assert [trial.test_metrics is not None for trial in rig.trials(job)] == [True] * 3


def test_a_lost_worker_is_retried_from_the_last_checkpoint(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=3, fate="crash", strikes=1))
    assert_complete(rig, job, trials=2, epochs=3)
    for trial in rig.trials(job):
        first, second = rig.store.attempts(trial.id)
        assert (first.state, first.failure) == (TrialState.FAILED, FailureKind.LOST)
        assert second.state is TrialState.SUCCEEDED
        lines = (rig.folder(job, trial) / "epochs.txt").read_text().splitlines()
        assert [tuple(line.split()[:2]) for line in lines] == [("1", "1"), ("1", "2"), ("2", "2"), ("2", "3")]


def test_a_trial_out_of_memory_ends_no_other_trial(rig: Rig) -> None:
    """Ray kills a process to free memory: Tune receives OutOfMemoryError in place of the result of its task."""
    job = rig.submit(a_spec(trials=2, epochs=6, seconds=0.5))
    driver = rig.start(job, prelude=OUT_OF_MEMORY)
    assert_complete(rig, rig.finish(driver, job), trials=2, epochs=6)
    ends = [[(one.state, one.failure) for one in rig.store.attempts(trial.id)] for trial in rig.trials(job)]
    succeeded, killed = (TrialState.SUCCEEDED, None), (TrialState.FAILED, FailureKind.OUT_OF_MEMORY)
    assert sorted(ends, key=len) == [[succeeded], [killed, succeeded]]


def test_a_driver_that_dies_before_it_stores_a_result_costs_no_training(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=1, epochs=3))
    dying = "import os; from workers.driver.ledger import Ledger; Ledger.finish = lambda *_: os._exit(9)"
    assert rig.start(job, prelude=dying).wait(60) == 9
    assert_complete(rig, rig.finish(rig.start(job), job), trials=1, epochs=3)
    (trial,) = rig.trials(job)
    lines = (rig.folder(job, trial) / "epochs.txt").read_text().splitlines()
    assert [tuple(line.split()[:2]) for line in lines] == [("1", "1"), ("1", "2"), ("1", "3")]


def test_only_the_files_of_the_result_remain(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=3, fate="crash", strikes=1))
    for trial in rig.trials(job):
        home = rig.settings.trial_dir(job.id, trial.id)
        rig.wait(lambda home=home: {path.name for path in home.iterdir()} == {"trial.log", "2"})
        assert {path.name for path in (home / "2").iterdir()} == {"epochs.txt", "model.safetensors"}
        (artifact,) = rig.store.artifacts(trial.id)
        assert artifact.path == f"{job.id}/{trial.id}/2/model.safetensors"


def test_damaged_weights_of_a_winner_are_not_measured(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=1, epochs=2))
    file = rig.finish(rig.start(job, prelude=DAMAGED_WEIGHTS), job)
    (trial,) = rig.trials(job)
    assert (file.state, trial.state, trial.test_metrics) == (JobState.SUCCEEDED, TrialState.SUCCEEDED, None)
    (event,) = rig.events(job, "trial.test_failed")
    assert event.data["reason"].endswith("model.safetensors is damaged: its SHA-256 is not the one that was stored")


@pytest.mark.parametrize(("fate", "kind"), [("crash", FailureKind.LOST), ("oom", FailureKind.OUT_OF_MEMORY)])
def test_retries_end_at_the_limit_and_the_job_says_why_it_failed(rig: Rig, fate: str, kind: FailureKind) -> None:
    job = rig.run(a_spec(trials=1, fate=fate, resources={"attempts": 2}))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, kind, 2)
    assert job.state is JobState.FAILED
    assert job.reason is not None
    assert job.reason.startswith(f"no trial succeeded: 1 {kind}; most often: ")


@pytest.mark.parametrize(("fate", "kind"), [("diverge", FailureKind.DIVERGED), ("error", FailureKind.ERROR)])
def test_what_would_fail_again_is_not_retried(rig: Rig, fate: str, kind: FailureKind) -> None:
    job = rig.run(a_spec(trials=1, fate=fate))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, kind, 1)


def test_a_trial_that_hangs_is_timed_out_and_its_log_shows_where(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1, fate="hang", resources={"trial_seconds": 1}))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, FailureKind.TIMED_OUT, 1)
    assert "in _strike" in (rig.settings.trial_dir(job.id, trial.id) / "trial.log").read_text()


def test_a_stopping_rule_ends_hopeless_trials_and_their_weights_are_kept(rig: Rig) -> None:
    stopping = {"name": "asha", "reduction": 2, "min_epochs": 1}
    job = rig.run(a_spec(trials=8, epochs=4, stopping=stopping))
    stopped = [trial for trial in rig.trials(job) if trial.state is TrialState.STOPPED]
    assert stopped
    assert all(trial.step < 4 and rig.store.artifacts(trial.id) for trial in stopped)


def test_a_small_space_ends_the_search_when_it_is_exhausted(rig: Rig) -> None:
    space = {"parameters": [{"type": "categorical", "name": "x", "choices": [0.1, 0.2, 0.3]}]}
    job = rig.run(a_spec(trials=100, epochs=1, space=space))
    assert job.state is JobState.SUCCEEDED
    assert len(rig.trials(job)) == 3


def test_a_budget_of_seconds_ends_running_trials_as_results(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1000, epochs=1000, seconds=0.1, budget={"trials": 1000, "seconds": 6}))
    assert job.state is JobState.SUCCEEDED
    assert job.seconds_used >= 6
    assert {trial.state for trial in rig.trials(job)} == {TrialState.STOPPED}
    assert all(trial.step < 1000 for trial in rig.trials(job))


def test_a_trial_that_cannot_be_placed_says_what_is_missing(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=2, resources={"cpu": 1, "gpu": 1}))
    driver = rig.start(job)
    (waiting,) = rig.wait(lambda: [trial for trial in rig.trials(job) if trial.reason])
    assert waiting.reason == "needs 1 CPU and 1 GPU; the cluster has no GPU"
    rig.store.cancel_job(job.id)
    assert rig.finish(driver, job).state is JobState.CANCELLED


def test_a_trial_that_waits_for_another_job_says_so(rig: Rig) -> None:
    long = rig.submit(a_spec(trials=2, seconds=0.2, epochs=1000))
    other = rig.submit(a_spec(trials=1))
    first = rig.start(long)
    rig.wait_for_measurements(long, 2)
    second = rig.start(other)
    (waiting,) = rig.wait(lambda: [trial for trial in rig.trials(other) if trial.reason])
    assert waiting.reason == "waits for 1 CPU: 0 of 2 free"
    rig.store.cancel_job(long.id)
    rig.finish(first, long)
    assert rig.finish(second, other).state is JobState.SUCCEEDED
    assert rig.trials(other)[0].reason is None


def test_the_tune_run_is_recycled_without_losing_trials(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=12, epochs=2))
    few = "import workers.driver.trial_queue as it; it.RECYCLE_ATTEMPTS = 5; it.RECYCLE_ROUNDS = 1"
    job = rig.finish(rig.start(job, prelude=few), job)
    assert_complete(rig, job, trials=12, epochs=2)
    pids = {one.pid for trial in rig.trials(job) for one in rig.store.attempts(trial.id)}
    assert len(pids) >= 3
    assert {trial.attempts for trial in rig.trials(job)} == {1}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_memory_of_the_driver_stays_flat_over_thousands_of_trials(rig: Rig) -> None:
    """Tune keeps a part of every trial until its run ends, so two runs are compared at equal progress."""
    per_run, trials = RECYCLE_ATTEMPTS, 5 * RECYCLE_ATTEMPTS // 2
    job = rig.submit(a_spec(task="noop", trials=trials, epochs=1))
    sizes = rig.settings.data_dir / "sizes"
    job = rig.finish(rig.start(job, prelude=NOTE_SIZES.format(file=str(sizes))), job, timeout=840)
    assert_complete(rig, job, trials=trials, epochs=1)
    after = [int(line) for line in sizes.read_text().splitlines()]
    assert len(after) == trials
    assert after[5 * per_run // 2 - 1] - after[3 * per_run // 2 - 1] < 20 * 2**20


def test_workers_never_see_where_the_database_is(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1, epochs=1))
    (trial,) = rig.trials(job)
    names = (rig.folder(job, trial) / "epochs.txt").read_text()
    assert "PATH" in names
    assert "SEARCHSVC_" not in names
    assert "PGPASSWORD" not in names
